"""Every key and index string of the table, and nothing else (protocol.md §1).

Ids are checked at the door and can hold neither `#` nor `$`, so no id reaches another's items.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from cascade_flow.engine.state import LATEST_US
from cascade_flow.model.wire import LARGEST_WHOLE

PARTITION = "pk"
SORT = "sk"
EXPIRY = "exp"
DUE_INDEX = "due"
DUE_SHARD = "q"
DUE_TIME = "due"
RUNS_INDEX = "runs"
RUNS_SHARD = "rk"
RUNS_TIME = "created"

DUE_SHARDS = 8
RUNS_SHARDS = 4
"""How many shards every table has, of the due index and of each workflow's runs: they are always read."""
RUN = "B#"
_POOL = "pool#"
_POOL_MARK = "POOL#"
_TIMES = LATEST_US + 1
REGISTRY = "WF"
_LIMIT, _PLACE, _WAITER, _LINE_END = "LIM#", "P#", "W#", "W$"
_chosen: Shards | None = None
_CALLED = "CALLED"
_SCHEDULES = "SCHEDULES"
_FAILED_UNDO = "UNDO#"
_DIGESTS = "PAST"
_BRANCHES_END = "B$"
_HISTORY_END = "F"


class Key(NamedTuple):
    """The primary key of an item."""

    pk: str
    sk: str


class Shards(NamedTuple):
    """How many shards the due index is cut into, and how many the runs of a workflow."""

    due: int
    runs: int

    def at_least(self, other: Shards) -> Shards:
        """The larger number of each."""
        return Shards(max(self.due, other.due), max(self.runs, other.runs))


class Span(NamedTuple):
    """Sort keys from `first` to `last`, both included, of one partition."""

    pk: str
    first: str
    last: str


def run(run_id: str) -> Key:
    return Key(_run_partition(run_id), RUN)


def branch(run_id: str, name: str) -> Key:
    return Key(_run_partition(run_id), f"{RUN}{name}")


def commit(run_id: str, time_us: int) -> Key:
    return Key(_run_partition(run_id), f"E#{time_us:016d}")


def log_chunk(run_id: str, step_id: str, attempt: int, time_us: int, mark: str) -> Key:
    """The mark, which is the content's, keeps apart what was written within one microsecond."""
    return Key(_run_partition(run_id), f"L#{step_id}#{attempt:04d}#{time_us:016d}#{mark}")


def payload(run_id: str, step_id: str, attempt: int, nonce: str) -> Key:
    return Key(_run_partition(run_id), f"P#{step_id}#{attempt}#{nonce}")


def chunk(run_id: str, step_id: str, attempt: int, number: int) -> Key:
    """Some of the items that a step hands out, put aside in one of its attempts; no payload's mark begins so."""
    return Key(_run_partition(run_id), f"P#{step_id}#{attempt}#i{number:06d}")


def payload_at(run_id: str, sort: str) -> Key:
    """The payload of a run under a sort key that one of its events names."""
    return Key(_run_partition(run_id), sort)


def run_payload(run_id: str, what: str) -> Key:
    """A payload of the run itself: its `input` or its `output`."""
    return Key(_run_partition(run_id), f"P#${what}")


def callback(run_id: str, mark: str) -> Key:
    """An address that the outside may call, by the mark of its secret."""
    return Key(_run_partition(run_id), f"S#{mark}")


def branches(run_id: str) -> Span:
    """The run and its branches."""
    return Span(_run_partition(run_id), RUN, _BRANCHES_END)


def history(run_id: str) -> Span:
    """The run, its branches and then its commits: in this order nothing that moves is missed (protocol.md §3)."""
    return Span(_run_partition(run_id), RUN, _HISTORY_END)


def commits(run_id: str) -> Span:
    """The commits of a run."""
    return Span(_run_partition(run_id), "E#", _HISTORY_END)


def logs(run_id: str, step_id: str | None = None, attempt: int | None = None) -> Span:
    """The log chunks of a run, of one of its steps, or of one attempt."""
    prefix = "L#" + (f"{step_id}#" if step_id else "") + (f"{attempt:04d}#" if step_id and attempt else "")
    return Span(_run_partition(run_id), prefix, prefix + "~")


def idempotency(key: str) -> Key:
    return Key(f"IDEM#{hashlib.sha256(key.encode()).hexdigest()}", "IDEM")


def workflow(slug: str) -> Key:
    return Key(REGISTRY, slug)


def version(slug: str, version_id: str) -> Key:
    return Key(f"{REGISTRY}#{slug}", f"V#{version_id}")


def versions(slug: str) -> Span:
    return Span(f"{REGISTRY}#{slug}", "V#", "V$")


def notes(slug: str, version_id: str) -> Key:
    return Key(f"{REGISTRY}#{slug}", f"N#{version_id}")


def notes_and_versions(slug: str) -> Span:
    return Span(f"{REGISTRY}#{slug}", "N#", "V$")


def noted_version(sk: str) -> str | None:
    """The version of which these are the notes; None where it is a version itself."""
    return sk.removeprefix("N#") if sk.startswith("N#") else None


def registry() -> Span:
    return Span(REGISTRY, "0", "~")


def called(slug: str) -> Key:
    """Says that callers drive runs of a workflow, which need not be registered."""
    return Key(_CALLED, slug)


def all_called() -> Span:
    return Span(_CALLED, "0", "~")


def limit(id: str) -> Span:
    """The places of a limit, then those who wait for one in their order."""
    return Span(f"{_LIMIT}{id}", _PLACE, _LINE_END)


def place(id: str, number: int) -> Key:
    """One place of a limit."""
    return Key(f"{_LIMIT}{id}", f"{_PLACE}{number:06d}")


def waiter(id: str, rank: int, run_id: str, branch: str, attempt: int) -> Key:
    """An attempt that waits for a place, in the order of ranks."""
    return Key(f"{_LIMIT}{id}", f"{_WAITER}{rank:038d}#{run_id}#{branch}#{attempt}")


def turns(id: str) -> Key:
    """When the next turn of a limit is free."""
    return Key(f"{_LIMIT}{id}", "T#")


def place_number(sk: str) -> int | None:
    """Which place's key this is; None where it is a waiter's."""
    return int(sk.removeprefix(_PLACE)) if sk.startswith(_PLACE) else None


def is_waiter(sk: str) -> bool:
    """Whether this is a waiter's key: between places and waiters lie the turns of a limit that was one by rate."""
    return sk.startswith(_WAITER)


def waiter_rank(sk: str) -> int:
    """The rank in a waiter's key."""
    return int(sk.split("#")[1])


def schedule(slug: str, name: str) -> Key:
    return Key(_SCHEDULES, f"{slug}#{name}")


def schedules(slug: str | None = None) -> Span:
    """The schedules of a workflow, or of all of them."""
    return Span(_SCHEDULES, "0", "~") if slug is None else Span(_SCHEDULES, f"{slug}#", f"{slug}#~")


def is_schedule(key: Key) -> bool:
    return key.pk == _SCHEDULES


def schedule_of(key: Key) -> tuple[str, str]:
    """The workflow and the name of the schedule whose item this is."""
    slug, _, name = key.sk.partition("#")
    return slug, name


def run_of(pk: str) -> str:
    """The run whose partition this is."""
    return pk.removeprefix("R#")


def branch_of(sk: str) -> str:
    """The branch whose item this is; empty for the run itself."""
    return sk.removeprefix(RUN)


def commit_time_of(sk: str) -> int | None:
    """The time under which this commit lies; None where the key is no commit's."""
    return int(sk.removeprefix("E#")) if sk.startswith("E#") else None


def attempt_of(sk: str) -> tuple[str, int]:
    """The step and the attempt whose log chunk this is."""
    step_id, attempt, _, _ = sk.removeprefix("L#").rsplit("#", 3)
    return step_id, int(attempt)


def shards() -> Key:
    """Remembers how many shards were ever written to, where these are more than every table has."""
    return Key("SHARDS", "SHARDS")


def pool_mark(name: str) -> Key:
    """Remembers that there may be steps for this pool."""
    return Key("SHARDS", f"{_POOL_MARK}{name}")


def index_marks() -> Span:
    """All that is remembered of where in the indexes something may lie."""
    return Span("SHARDS", "A", "~")


def marked_pool(sk: str) -> str | None:
    """The pool of which this mark tells."""
    return sk.removeprefix(_POOL_MARK) if sk.startswith(_POOL_MARK) else None


def digests(hour: int, mark: str) -> Key:
    """Some of the runs that ended in an hour, of those since 1970, as reports need them."""
    return Key(_DIGESTS, f"{hour:08d}#{mark}")


def digests_since(hour: int) -> Span:
    """Those that ended in this hour or later."""
    return Span(_DIGESTS, f"{hour:08d}#", "~")


def pulse() -> Key:
    """Says when the reaper was there last."""
    return Key("PULSE", "PULSE")


def failed_undo(run_id: str) -> Key:
    """Says that a run failed that was to undo another; it may have been tried again since."""
    return Key("PULSE", f"{_FAILED_UNDO}{run_id}")


def signs() -> Span:
    """All that is known of how the engine is, whatever the runs are that go on: its pulse, and what failed to undo."""
    return Span("PULSE", "PULSE", f"{_FAILED_UNDO}~")


def unable_to_undo(sk: str) -> str | None:
    """The run of which this note says that it failed to undo another."""
    return sk.removeprefix(_FAILED_UNDO) if sk.startswith(_FAILED_UNDO) else None


def secret() -> Key:
    """What only those know who may read the table."""
    return Key("SECRET", "SECRET")


def always() -> Shards:
    """The shards that every table has."""
    return Shards(DUE_SHARDS, RUNS_SHARDS)


def choose_shards(chosen: Shards | None) -> None:
    """Let this process write to so many shards; None: to those that every table has."""
    global _chosen
    _chosen = None if chosen == always() else chosen


def written() -> Shards:
    """The shards that this process writes to."""
    return _chosen or always()


def due(run_id: str) -> str:
    return f"due#{_shard(run_id, written().due)}"


def due_of_schedule(slug: str, name: str) -> str:
    """Schedules lie among the runs: who sweeps these asks nothing more."""
    return due(schedule(slug, name).sk)


def done(run_id: str) -> str:
    return f"done#{_shard(run_id, written().due)}"


def call(run_id: str) -> str:
    """Where the live items of a run lie that a caller drives: listed, never swept."""
    return f"call#{_shard(run_id, written().due)}"


def pool(name: str) -> str:
    """Where the steps lie that wait for a worker of a pool, under their ranks: listed and claimed, never swept."""
    return f"{_POOL}{name}"


def is_pool(shard: str) -> bool:
    return shard.startswith(_POOL)


def rank(priority: int | None, available_us: int) -> int:
    """A step's place among those that wait for a pool: higher priority first, then the longest waiting."""
    return (LARGEST_WHOLE - (-LARGEST_WHOLE if priority is None else priority)) * _TIMES + available_us


def available_us_of(rank: int) -> int:
    """From when on a step of this rank may be claimed."""
    return rank % _TIMES


def rank_below(rank: int) -> int:
    """The first rank of the next lower priority."""
    return rank - available_us_of(rank) + _TIMES


def call_shards(among: Shards) -> list[str]:
    return [f"call#{shard}" for shard in range(among.due)]


def due_shards(among: Shards) -> list[str]:
    return [f"due#{shard}" for shard in range(among.due)]


def done_shards(among: Shards) -> list[str]:
    return [f"done#{shard}" for shard in range(among.due)]


def runs(slug: str, run_id: str) -> str:
    return f"{slug}#{_shard(run_id, written().runs)}"


def runs_shards(slug: str, among: Shards) -> list[str]:
    return [f"{slug}#{shard}" for shard in range(among.runs)]


def _run_partition(run_id: str) -> str:
    return f"R#{run_id}"


def _shard(run_id: str, shards: int) -> int:
    return hashlib.sha256(run_id.encode()).digest()[0] % shards
