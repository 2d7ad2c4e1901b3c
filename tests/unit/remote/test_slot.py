"""A slot: carries out claims one after the other, goes on along a branch, and gives back what it must not finish."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cascade_flow import Workflow, clock
from cascade_flow.client import Client
from cascade_flow.client.asking import Json
from cascade_flow.client.workers import Attempt
from cascade_flow.errors import BackendUnavailableError, StaleAttemptError
from cascade_flow.remote import slot as slot_module
from cascade_flow.remote.attempt import RemoteAttempt
from cascade_flow.remote.slot import SECONDS_TO_GIVE_BACK, Channel, Slot
from unit.remote.conftest import Api, claim_of

CLAIM = claim_of()
NAMED = {"runId": "r", "workflowSlug": "flow", "stepId": "train", "attemptNumber": 1}


class Told:
    """What the worker hears of its slot."""

    def __init__(self) -> None:
        self.words: list[Json] = []

    def say(self, **told: Any) -> None:
        self.words.append(told)

    @property
    def events(self) -> list[str]:
        return [each["event"] for each in self.words]


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The timers that would end this process."""
    made: list[tuple[Any, ...]] = []

    class Timer:
        def __init__(self, *given: Any) -> None:
            self._given = given

        def start(self) -> None:
            made.append(self._given)

    monkeypatch.setattr(slot_module.threading, "Timer", Timer)
    return made


def slot_of(api: Api, told: Told, train: Callable[..., Any]) -> Slot:
    flow = Workflow("flow")
    flow.step(id="train")(train)
    return Slot(cast(Client, api), {"flow": flow}, "box-1", cast(Channel, told))


def carried_out(slot: Slot, lines: Iterable[str]) -> None:
    """All that its worker has said, and then the worker is gone."""
    slot.listen(lines)
    slot.work()


def words(*said: Json) -> Iterator[str]:
    yield from map(json.dumps, said)


def test_a_step_is_carried_out_and_told(api: Api, time: clock.SteppingClock, timers: list[Any]) -> None:
    told = Told()
    slot = slot_of(api, told, lambda: time.advance(2_000_000))
    api.answers["complete"] = [{"status": "completed", "nextRetryAtUs": 7, "more": 1}]
    assert slot._carry_out(CLAIM) is None
    began, ended = told.words
    assert began == {"event": "began", **NAMED}
    assert ended == {"event": "ended", **NAMED, "durationUs": 2_000_000, "status": "completed", "nextRetryAtUs": 7}
    assert api.told("complete")[0]["claim_next"] is True
    assert api.asked[-1][1][0] == Attempt("r", "train", "box-1", 1)


def test_a_failure_is_told_with_its_error(api: Api) -> None:
    def train() -> None:
        raise ValueError("no gpu")

    told = Told()
    api.answers["fail"] = [{"status": "failed"}]
    slot_of(api, told, train)._carry_out(CLAIM)
    assert told.words[1]["error"].items() >= {"name": "ValueError", "message": "no gpu"}.items()


@pytest.mark.parametrize(
    "error", [StaleAttemptError("somebody else has it"), BackendUnavailableError("away")], ids=repr
)
def test_what_is_lost_is_told_and_nothing_follows(api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def lost(_: RemoteAttempt) -> Json:
        raise error

    told = Told()
    monkeypatch.setattr(RemoteAttempt, "carry_out", lost)
    assert slot_of(api, told, lambda: 1)._carry_out(CLAIM) is None
    assert told.words[1] == {"event": "lost", **NAMED, "reason": str(error)}


def test_what_its_worker_gives_it_is_carried_out(api: Api, timers: list[Any]) -> None:
    told, completed = Told(), threading.Event()
    slot = slot_of(api, told, lambda: 1)

    def says() -> Iterator[str]:
        yield json.dumps({"claim": CLAIM})
        assert completed.wait(10)

    listening = threading.Thread(target=slot.listen, args=(says(),), daemon=True)
    api.answers["complete"] = [lambda: {"status": "completed", "done": completed.set()}]
    listening.start()
    slot.work()
    listening.join(10)
    assert told.events[:3] == ["began", "ended", "idle"]


def test_it_goes_on_along_the_branch_and_is_idle_when_that_ends(api: Api, timers: list[Any]) -> None:
    told = Told()
    slot = slot_of(api, told, lambda: 1)
    following = {**CLAIM, "attemptNumber": 2}

    def complete() -> Json:
        if len(api.told("complete")) == 1:
            return {"status": "completed", "next": following}
        slot.listen(words())
        return {"status": "completed"}

    api.answers["complete"] = [complete, complete]
    slot._claims.put(CLAIM)
    slot.work()
    assert told.events == ["began", "ended", "began", "ended", "idle"]
    assert [each["attemptNumber"] for each in told.words[:-1]] == [1, 1, 2, 2]


def test_what_follows_when_its_worker_is_dead_is_given_back(api: Api, timers: list[Any]) -> None:
    told = Told()
    slot = slot_of(api, told, lambda: 1)

    def complete() -> Json:
        slot.listen(words())
        return {"status": "completed", "next": {**CLAIM, "stepId": "train", "attemptNumber": 2}}

    api.answers["complete"] = [complete]
    slot._claims.put(CLAIM)
    slot.work()
    assert told.events == ["began", "ended", "began", "ended", "idle"]
    assert [name for name, *_ in api.asked] == ["complete", "release"]


def test_who_is_told_of_no_further_step_knows_that_its_worker_is_dead(api: Api, timers: list[Any]) -> None:
    slot, known = slot_of(api, Told(), lambda: 1), list[tuple[Any, bool]]()
    said = SimpleNamespace(put=lambda claim: known.append((claim, slot._orphaned.is_set())))
    slot._claims = cast(Any, said)
    slot.listen(words())
    assert known == [(None, True)]


def test_who_drains_takes_no_further_step(api: Api) -> None:
    slot = slot_of(api, Told(), lambda: None if api.asked else slot._drain(gives_back=False))
    slot._carry_out(CLAIM)
    slot._carry_out(CLAIM)
    assert [each["claim_next"] for each in api.told("complete")] == [False, False]
    assert not api.told("release")


def test_what_is_to_be_given_back_is_released_now_and_later(api: Api) -> None:
    told = Told()
    slot = slot_of(api, told, lambda: None if api.asked else slot._drain(gives_back=True))
    api.answers["release"] = [{"status": "scheduled"}] * 2
    slot._carry_out(CLAIM)
    slot._drain(gives_back=False)
    slot._carry_out(CLAIM)
    assert [name for name, *_ in api.asked] == ["release", "release"]
    assert told.events == ["began", "ended"] * 2


@pytest.mark.parametrize(("said", "gives_back"), [("drain", False), ("give back", True)])
def test_it_does_what_its_worker_says(
    api: Api, monkeypatch: pytest.MonkeyPatch, timers: list[Any], said: str, gives_back: bool
) -> None:
    told: list[bool] = []
    slot = slot_of(api, Told(), lambda: 1)
    monkeypatch.setattr(slot, "_drain", lambda *, gives_back: told.append(gives_back))
    slot.listen(words({"do": said}))
    assert told == [gives_back, True], "whose worker is dead gives back what it has"


def test_whose_worker_is_dead_ends_by_itself_and_else_is_ended(api: Api, timers: list[Any]) -> None:
    told = Told()
    carried_out(slot_of(api, told, lambda: 1), words({"claim": CLAIM}))
    assert timers == [(SECONDS_TO_GIVE_BACK, os.kill, (os.getpid(), signal.SIGKILL))]
    assert told.events == []


def test_who_waits_for_a_step_ends_with_its_worker(api: Api, timers: list[Any]) -> None:
    slot = slot_of(api, Told(), lambda: 1)
    waiting = threading.Thread(target=slot.work, daemon=True)
    waiting.start()
    slot.listen(words())
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_worker_that_hears_no_more_is_told_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w")
    Channel(stream).say(event="idle")
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_what_is_told_is_a_line_of_json() -> None:
    read, write = os.pipe()
    with os.fdopen(read, encoding="utf-8") as inbox, os.fdopen(write, "w", encoding="utf-8") as outbox:
        Channel(outbox).say(event="idle", reason="ä\n")
        assert json.loads(inbox.readline()) == {"event": "idle", "reason": "ä\n"}


def test_what_two_threads_tell_is_a_line_each() -> None:
    at_once, most, other = list[int](), list[int](), threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            at_once.append(1)
            most.append(len(at_once))
            other.wait(0.05)
            at_once.pop()
            return super().write(text)

    channel = Channel(stream := Slow())
    threads = [threading.Thread(target=channel.say, kwargs={"event": str(number)}) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert {json.loads(line)["event"] for line in stream.getvalue().splitlines()} == {"0", "1"}


FLOWS = """
from cascade_flow import Workflow
flow = Workflow({name!r})
@flow.step(executor={pool!r})
def a() -> int:
    return 1
@flow.step
def b() -> int:
    return 1
"""


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, timers: list[Any]) -> Callable[..., Json]:
    """What `main` says first when it is given this; its worker says nothing, and is gone."""

    def begin(**spec: Any) -> Json:
        read, write = os.pipe()
        os.set_inheritable(write, True)  # as what was passed to a process is
        given = {"outbox": write, "path": [str(tmp_path)], "workerId": "w", "url": "http://localhost:1", **spec}
        monkeypatch.setattr(slot_module, "_begin", lambda: (io.StringIO(), {"region": None, "profile": None, **given}))
        with os.fdopen(write, "w", encoding="utf-8") as outbox:
            monkeypatch.setattr(slot_module.os, "fdopen", lambda *_, **__: outbox)
            slot_module.main()
            assert not os.get_inheritable(write), "what a step starts would hold the pipe"
        with open(read, encoding="utf-8") as said:
            return json.loads(said.readline())

    monkeypatch.setattr(sys, "path", [*sys.path])
    return begin


def test_it_says_what_it_has_from_the_path_that_it_was_given(
    begun: Callable[..., Json], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    behind = tmp_path / "behind"
    behind.mkdir()
    for folder, pool in ((tmp_path, "gpu"), (behind, "cpu")):
        (folder / "flows_of_a_slot.py").write_text(FLOWS.format(name="flow", pool=pool))
    monkeypatch.syspath_prepend(behind)
    assert begun(workflows="flows_of_a_slot") == {"event": "ready", "workflows": 1, "pools": ["gpu"]}
    assert sys.path[0] == str(tmp_path)
    assert sys.modules.pop("flows_of_a_slot")


def test_pools_are_named_in_order() -> None:
    flow, pools = Workflow("flow"), [f"pool-{number}" for number in range(8)]
    for pool in reversed(pools):
        flow.step(id=pool, executor=pool)(lambda: 1)
    assert slot_module._declared({"flow": flow}) == {"workflows": 1, "pools": pools}


def test_it_is_known_by_its_workers_name(begun: Callable[..., Json], monkeypatch: pytest.MonkeyPatch) -> None:
    slots = list[Any]()

    def noted(*given: Any) -> Slot:
        slots.append(given[2])
        return Slot(*given)

    monkeypatch.setattr(slot_module, "Slot", noted)
    monkeypatch.setattr(slot_module, "discover", lambda _: {})
    assert begun(workflows="any", workerId="box-7") == {"event": "ready", "workflows": 0, "pools": []}
    assert slots == ["box-7"]


def test_what_keeps_it_from_beginning_is_said(begun: Callable[..., Json]) -> None:
    said = begun(workflows="nowhere_at_all")
    assert (said["event"], said["code"]) == ("unable", "configuration")
    assert "nowhere_at_all" in said["reason"]


def test_it_asks_the_api_that_it_was_given_or_that_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoints = slot_module.endpoints
    monkeypatch.setattr(endpoints, "local_client", lambda folder: ("here", folder))
    monkeypatch.setattr(endpoints, "address_client", lambda url, **known: (url, known))
    assert slot_module._client({"url": None}) == ("here", Path.cwd())  # type: ignore[comparison-overlap]
    known = {"region": "eu-west-1", "profile": "ops"}
    assert slot_module._client({"url": "https://x", **known}) == ("https://x", known)  # type: ignore[comparison-overlap]


READS = """
import os, select
from cascade_flow import Workflow
flow = Workflow("flow")
is_over = bool(select.select([0], [], [], 0)[0]) and not os.read(0, 1)
@flow.step(executor="hears-nothing" if is_over else "waits-for-words")
def a() -> int:
    return 1
"""


def test_no_step_reads_its_workers_words_and_what_ends_a_worker_does_not_end_its_slots(tmp_path: Path) -> None:
    (tmp_path / "flows_that_read.py").write_text(READS)
    read, write = os.pipe()
    command = [sys.executable, "-m", "cascade_flow.remote"]
    slot = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[write], text=True, cwd=tmp_path)
    os.close(write)
    spec = {"path": [str(tmp_path)], "workflows": "flows_that_read", "workerId": "w", "outbox": write}
    with os.fdopen(read, encoding="utf-8") as says, slot:
        assert slot.stdin is not None
        slot.stdin.write(
            json.dumps({**spec, "url": "http://localhost:1", "region": "eu-west-1", "profile": None}) + "\n"
        )
        slot.stdin.flush()
        assert json.loads(says.readline()) == {"event": "ready", "workflows": 1, "pools": ["hears-nothing"]}
        for each in (signal.SIGTERM, signal.SIGINT):
            slot.send_signal(each)
    assert slot.returncode == 0
