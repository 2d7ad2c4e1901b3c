"""Model ↔ item: how a branch, a run, a commit, a version lie in the table.

Attribute names are short because every byte of a branch is rewritten with every step. Values are strings, whole
numbers and bytes; absent values have no attribute.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.codec import Record, decode, deflate, encode, inflate
from cascade_flow.engine.limits import pack_limit, unpack_limit
from cascade_flow.engine.state import ENDED, Branch, Family, Owed, Patience, Run, Signal, Stop, Up
from cascade_flow.engine.undoing import Done, Undoing
from cascade_flow.model.events import ResourceSnapshot, StepError
from cascade_flow.model.ids import up_of
from cascade_flow.records import replace

Item = dict[str, str | int | bytes]
LogLine = tuple[int, str, str]
"""Time (µs), stream, message."""
ITEM_UNIT = 1024
"""What one write unit holds, in bytes."""


class _Field(NamedTuple):
    attribute: str
    name: str
    pack: Callable[[Any], str | int | bytes] = lambda value: value
    unpack: Callable[[Any], Any] = lambda value: value


def pack_json(value: Any) -> bytes:
    return deflate(json.dumps(value, separators=(",", ":")))


def unpack_json(data: bytes) -> Any:
    return json.loads(inflate(data))


def pack_stop(stop: Stop) -> bytes:
    error = stop.error and stop.error.to_wire()
    return pack_json([stop.kind, stop.run_attempt, stop.step, error, stop.reason])


def _unpack_stop(data: bytes) -> Stop:
    kind, run_attempt, step, error, reason = unpack_json(data)
    return Stop(kind, run_attempt, step, error and StepError.model_validate(error), reason)


def _pack_signal(signal: Signal) -> bytes:
    return pack_json([signal.mark, signal.at_us, signal.via, signal.text, signal.place])


def _unpack_undoing(data: bytes) -> Undoing:
    run_id, done = unpack_json(data)
    return Undoing(run_id, tuple(Done(*each) for each in done))


def pack_up(up: Up) -> str:
    return json.dumps([up.branch, int(up.is_item)])


def _unpack_up(run_id: str, packed: str) -> Up | None:
    """The parent, its step and the number are in a child's id."""
    if (place := up_of(run_id)) is None:
        return None
    parent, step, number = place
    branch, is_item = json.loads(packed)
    return Up(parent, branch, step, number, bool(is_item))


def _pack_family(family: Family) -> bytes:
    """The ranges' ends are told as distances, which pack to little: each write of the step rewrites them."""
    *rest, out = astuple(family)
    ends = [0, *(number for first, last in out for number in (first, last + 1))]
    return pack_json([*rest, [after - before for before, after in pairwise(ends)]])


def _unpack_family(data: bytes) -> Family:
    *rest, gaps = unpack_json(data)
    ends = [*accumulate(gaps)]
    out = tuple((first, end - 1) for first, end in zip(ends[::2], ends[1::2], strict=True))
    return replace(Family(*rest), out=out)


_TAIL = _Field("e", "tail", encode, decode)
_BRANCH = (
    _Field("st", "status"),
    _Field("s", "step"),
    _Field("a", "attempt"),
    _Field("ab", "attempts_before"),
    _Field("lt", "laters"),
    _Field("ls", "later_since_us"),
    _Field("ra", "run_attempt"),
    _Field("sq", "seq"),
    _Field("av", "available_at_us"),
    _Field("ts", "started_at_us"),
    _Field("w", "worker"),
    _Field("le", "lease_us"),
    _Field("hb", "heartbeat_us"),
    _Field(
        "hr", "snapshot", lambda s: pack_json(s.to_wire()), lambda d: ResourceSnapshot.model_validate(unpack_json(d))
    ),
    _Field("sl", "slot_index"),
    _Field("wc", "worker_concurrency"),
    _Field("pr", "priority"),
    _Field("po", "pool"),
    _Field("li", "limit", pack_limit, unpack_limit),
    _Field("lp", "place"),
    _Field("tu", "turn_us"),
    _Field("h", "halt"),
    _Field("ow", "owed", lambda o: json.dumps([o.made, *o.steps]), lambda t: _owed(json.loads(t))),
    _Field("n", "arrived"),
    _Field("lo", "looks", int, bool),
    _Field("sg", "signal", _pack_signal, lambda d: Signal(*unpack_json(d))),
    _Field("wt", "patience", lambda p: json.dumps([p.until_us, p.run_attempt]), lambda t: Patience(*json.loads(t))),
    _Field("fa", "family", _pack_family, _unpack_family),
    _Field("sp", "skipped", lambda s: pack_json(dict(s)), unpack_json),
    _Field("la", "last_us"),
    _Field("og", "origin_us"),
    _TAIL,
)
_RUN = (
    _Field("st", "status"),
    _Field("wf", "workflow_slug"),
    _Field("v", "version_id"),
    _Field("dr", "driver"),
    _Field("ra", "run_attempt"),
    _Field("sq", "seq"),
    _Field(keys.RUNS_TIME, "created_us"),
    _Field("av", "available_at_us"),
    _Field("dl", "deadline_us"),
    _Field("ts", "started_at_us"),
    _Field("te", "completed_at_us"),
    _Field("pr", "priority"),
    _Field(
        "tags", "tags", lambda tags: json.dumps(list(tags), ensure_ascii=False), lambda text: tuple(json.loads(text))
    ),
    _Field("stop", "stop", pack_stop, _unpack_stop),
    _Field("rv", "reviving", int, bool),
    _Field("pa", "parent"),
    _Field("or", "origin_run_id"),
    _Field("ow", "owed"),
    _Field("li", "limit", pack_limit, unpack_limit),
    _Field("lp", "place"),
    _Field("up", "up", pack_up),
    _Field("rs", "result", deflate, inflate),
    _Field("rp", "result_place"),
    _Field("ls", "lost"),
    _Field("lk", "limit_keys", lambda values: pack_json(dict(values)), unpack_json),
    _Field("ub", "undone_by"),
    _Field("un", "undoing", lambda undoing: pack_json([undoing.run_id, undoing.done]), _unpack_undoing),
    _Field("rn", "renewed", lambda runs: pack_json(dict(runs)), unpack_json),
    _Field("la", "last_us"),
    _Field(keys.EXPIRY, "expires_s"),
    _TAIL,
)


def branch_item(run_id: str, branch: Branch, *, expires_s: int) -> Item:
    """A branch as it lies in the table; in the due index for as long as it has a time there."""
    place = _place(run_id, branch)
    return {**key_of(keys.branch(run_id, branch.name)), **_pack(_BRANCH, branch), **place, keys.EXPIRY: expires_s}


def differing(
    run_id: str, before: Branch, after: Branch, packed: Item | None = None
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The attributes in which two states of a branch differ, of the first by name; `packed` is the second's item, where
    it is made already.
    """
    fields = [field for field in _BRANCH if getattr(before, field.name) != getattr(after, field.name)]
    were = {field.attribute: None for field in fields if not _absent(getattr(before, field.name))}
    are = _pack(fields, after) if packed is None else _those_of(fields, packed)
    return {**were, **_place(run_id, before)}, {**are, **_place(run_id, after)}


def to_branch(item: Item) -> Branch:
    """Also of an item that holds a part of the attributes only."""
    name = keys.branch_of(str(item[keys.SORT]))
    return Branch(**{"name": name, "status": "open", "step": name, **_unpack(_BRANCH, item), **_due(item)})


def run_item(run: Run) -> Item:
    """A run as it lies in the table: in the due index until it has ended, then among the done; in `runs` once it is
    submitted.
    """
    live_shard = keys.call if run.driver == "caller" else keys.due
    shard = keys.done(run.run_id) if run.status in ENDED else live_shard(run.run_id)
    due: Item = {} if run.due_us is None else {keys.DUE_SHARD: shard, keys.DUE_TIME: run.due_us}
    hidden = run.up is not None or run.status in ("reserved", "copying")
    listed: Item = {} if hidden else {keys.RUNS_SHARD: keys.runs(run.workflow_slug, run.run_id)}
    return {**key_of(keys.run(run.run_id)), **_pack(_RUN, run), **due, **listed}


def to_run(item: Item) -> Run:
    run_id = keys.run_of(str(item[keys.PARTITION]))
    up: dict[str, Any] = {"up": _unpack_up(run_id, str(item["up"]))} if "up" in item else {}
    return Run(**{"run_id": run_id, **_unpack(_RUN, item), **up, **_due(item)})


def commit_item(run_id: str, records: Sequence[Record], *, expires_s: int) -> Item:
    """Events that entered the log together, under the time of the first."""
    return {**key_of(keys.commit(run_id, records[0]["timestampUs"])), "e": encode(records), keys.EXPIRY: expires_s}


def log_item(key: keys.Key, lines: Sequence[LogLine], *, expires_s: int) -> Item:
    """A chunk of one attempt's log lines."""
    return {**key_of(key), "l": pack_json([list(line) for line in lines]), keys.EXPIRY: expires_s}


def to_log_lines(item: Item) -> tuple[str, int, list[LogLine]]:
    """The step and attempt that a chunk belongs to, and its lines."""
    step_id, attempt = keys.attempt_of(str(item[keys.SORT]))
    return step_id, attempt, [(time, stream, message) for time, stream, message in unpack_json(bytes_of(item, "l"))]


def payload_item(key: keys.Key, packed: bytes, *, expires_s: int) -> Item:
    return {**key_of(key), "p": packed, keys.EXPIRY: expires_s}


def to_payload(item: Item) -> str:
    return inflate(bytes_of(item, "p"))


def to_records(item: Item) -> tuple[Record, ...]:
    """The events in a run, a branch or a commit."""
    return decode(bytes_of(item, "e")) if "e" in item else ()


def size_of(item: Mapping[str, str | int | bytes]) -> int:
    """An item's size by the rules of DynamoDB: names and values; a number takes half its digits and one."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: str | int | bytes) -> int:
    if isinstance(value, int):
        return (len(str(abs(value)).rstrip("0")) + 1) // 2 + 1 + (value < 0)
    return len(value if isinstance(value, bytes) else value.encode())


def _pack(fields: Iterable[_Field], model: Any) -> Item:
    values = ((field, getattr(model, field.name)) for field in fields)
    return {field.attribute: field.pack(value) for field, value in values if not _absent(value)}


def _those_of(fields: Iterable[_Field], item: Item) -> Item:
    return {field.attribute: item[field.attribute] for field in fields if field.attribute in item}


def _absent(value: Any) -> bool:
    return value is None or value is False or value == () or value == {}


def _unpack(fields: Iterable[_Field], item: Item) -> dict[str, Any]:
    return {field.name: field.unpack(item[field.attribute]) for field in fields if field.attribute in item}


def _place(run_id: str, branch: Branch) -> Item:
    """Where the due index has a branch: by its time, or with the pool that it waits for, by its rank."""
    if branch.due_us is None:
        return {}
    if (pool := branch.awaited_pool) is not None:
        return {keys.DUE_SHARD: keys.pool(pool), keys.DUE_TIME: keys.rank(branch.priority, branch.available_at_us or 0)}
    return {keys.DUE_SHARD: keys.due(run_id), keys.DUE_TIME: branch.due_us}


def _due(item: Item) -> dict[str, Any]:
    """What has a rank has no time: if anything but a claim takes it out of its pool, it is looked at soon."""
    if keys.DUE_SHARD not in item:
        return {}
    return {"due_us": item["av"] if keys.is_pool(str(item[keys.DUE_SHARD])) else item[keys.DUE_TIME]}


def _owed(packed: list[Any]) -> Owed:
    made, *steps = packed
    return Owed(tuple(steps), made)


def key_of(key: keys.Key) -> Item:
    return {keys.PARTITION: key.pk, keys.SORT: key.sk}


def bytes_of(item: Item, attribute: str) -> bytes:
    value = item[attribute]
    return value if isinstance(value, bytes) else str(value).encode()
