"""Events from outside: told once, kept, looked at, and never polled (protocol.md §13)."""

from __future__ import annotations

import json
import random
from functools import partial
from itertools import count
from typing import Any
from unittest.mock import Mock

import pytest

from cascade_flow import (
    ArgumentInvalidError,
    ConflictError,
    EventClosedError,
    EventDefinition,
    EventNotFoundError,
    InputInvalidError,
    RunLimit,
    RunSubmission,
    StepCompleted,
    StepDefinition,
    StepFailed,
    StepScheduled,
    StepSkipped,
    StepStarted,
    ThrottledError,
    WorkflowCompleted,
    clock,
)
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.changes import BranchRefused, birth_put
from cascade_flow.dynamodb.join_ledger import JoinLedger
from cascade_flow.dynamodb.ledger import Ledger
from cascade_flow.dynamodb.table import Update
from cascade_flow.engine.commands import KeepCheckpoint
from cascade_flow.engine.state import Birth, Branch
from cascade_flow.errors import PayloadTooLargeError
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.payloads import Payloads
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.signals import mark_of
from cascade_flow.operations.sweep import Sweep
from cascade_flow.records import replace
from clauses.stage import (
    AT_ONCE,
    FATAL,
    RUN,
    begun,
    branch_of,
    claimed,
    dies,
    done,
    dying,
    ended,
    found,
    item_of,
    reported,
    run_of,
    silent,
)
from faults.moments import pausing, unanswered
from simulation import TIMING, World, step
from testbed.faults import Crash, Kind, refusal
from testbed.wire import Answer, Floor, Request, Send, wire_of

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
WAIT_US = 600_000_000
YES, NO = {"ok": True}, {"ok": False}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


def event(id: str, *dependencies: str, **declared: Any) -> StepDefinition:
    """A node that waits for these, and for the outside."""
    options = {name: declared.pop(name) for name in ("export_output",) if name in declared}
    return step(id, *dependencies, event=EventDefinition(payload_schema_json=SCHEMA, **declared), **options)


def chain(**declared: Any) -> list[StepDefinition]:
    """A step, an event and what follows it."""
    return [step("a"), event("e", "a", **declared), step("b", "e", export_output=True)]


AFTER_TWO = [step("a"), step("c"), event("e", "a", "c"), step("b", "e", export_output=True)]
ALONE = [event("e", export_output=True)]
ROOT = [event("e"), step("a"), step("b", "e", "a", export_output=True)]


def sent(world: World, data: Any = YES, *, by: Any = None, **options: Any) -> bool:
    """Whether what is said to the event is new."""
    return bool((by or world.backend).send_event(RUN, "e", data, **options).is_new)


def due_in_us(world: World) -> int:
    return int(branch_of(world, "e").due_us or 0) - clock.now_us()


def kinds_of(world: World, step_id: str) -> list[type]:
    return [type(each) for each in world.observer.load_events("flow", RUN, step_id=step_id)]


ONCE = [StepScheduled, StepStarted, StepCompleted]


def test_a_signal_lets_it_go_on_at_once(world: World) -> None:
    begun(world, *chain())
    done(world, "a")
    assert sent(world)
    assert kinds_of(world, "e") == ONCE
    assert (branch_of(world, "e").step, branch_of(world, "e").status) == ("b", "scheduled")
    world.settle(RUN)
    assert world.oracle.given[next(mark for mark in world.oracle.given if mark.step == "b")] == {"e": '{"ok":true}'}
    ended(world)


def test_all_that_follow_it_find_what_was_said(world: World) -> None:
    begun(world, step("a"), event("e", "a"), *(step(name, "e") for name in ("b", "c", "d")))
    done(world, "a")
    assert sent(world)
    world.settle(RUN)
    given = {mark.step: input for mark, input in world.oracle.given.items()}
    assert [given[name] for name in ("b", "c", "d")] == [{"e": '{"ok":true}'}] * 3
    ended(world)


def test_a_signal_before_anybody_waits_is_kept(world: World) -> None:
    begun(world, *chain())
    assert sent(world)
    assert kinds_of(world, "e") == []
    done(world, "a")
    assert kinds_of(world, "e") == ONCE
    ended(world)


@pytest.mark.parametrize("steps", [ALONE, ROOT], ids=["alone", "beside another"])
def test_an_event_that_depends_on_nothing_is_born_with_the_run(world: World, steps: list[StepDefinition]) -> None:
    begun(world, *steps)
    assert branch_of(world, "e").status == "open"
    assert sent(world)
    ended(world)


def test_a_signal_before_the_runs_start_is_kept(world: World) -> None:
    begun(world, *ROOT, available_at=clock.now_us() + HOUR_US)
    assert sent(world)
    assert kinds_of(world, "e") == []
    ended(world)


def test_the_first_signal_counts_and_who_comes_second_is_told(world: World) -> None:
    begun(world, *chain())
    assert sent(world, YES)
    for _ in range(2):
        with pytest.raises(EventClosedError) as told:
            sent(world, NO)
        assert (told.value.facts["data"], told.value.facts["state"]) == ('{"ok":true}', "sent")
        if kinds_of(world, "e") == []:
            done(world, "a")
    ended(world)


def test_the_same_signal_again_is_known(world: World) -> None:
    begun(world, *chain())
    assert sent(world, {"ok": True, "n": 1})
    assert not sent(world, {"n": 1, "ok": True})
    done(world, "a")
    assert not sent(world, {"n": 1, "ok": True})
    ended(world)
    with pytest.raises(EventClosedError) as told:
        sent(world, {"n": 1, "ok": True})
    assert told.value.facts["status"] == "completed"


@pytest.mark.parametrize("data", [0, False, "", [], None])
def test_falsy_data_is_sent_as_it_is(world: World, data: Any) -> None:
    begun(world, step("e", event=EventDefinition(), export_output=True))
    assert sent(world, data)
    [over] = world.observer.load_events("flow", RUN, types=["StepCompleted"])
    assert json.loads(over.output) == data  # type: ignore[union-attr]


def test_who_sends_again_has_it_looked_at_that_nobody_has_looked_at(world: World) -> None:
    begun(world, *chain())
    done(world, "a")
    dies(lambda: sent(world, by=dying(world, "UpdateItem", after=True)))
    assert kinds_of(world, "e") == []
    assert not sent(world)
    assert kinds_of(world, "e") == ONCE


def test_a_senders_key_tells_one_signal_from_another(world: World) -> None:
    begun(world, *chain())
    assert sent(world, YES, key="first")
    assert not sent(world, YES, key="first")
    for key in (None, "second"):
        with pytest.raises(EventClosedError):
            sent(world, YES, key=key)


def test_what_is_no_payload_is_refused_at_the_door(world: World) -> None:
    begun(world, *chain())
    with pytest.raises(InputInvalidError) as told:
        sent(world, {"ok": "perhaps"})
    assert [issue.path for issue in told.value.issues] == ["data.ok"]
    assert found(world, "e") is None
    with pytest.raises(EventNotFoundError, match=r"its events are e$"):
        world.backend.send_event(RUN, "a", YES)
    with pytest.raises(ArgumentInvalidError, match="1 to"):
        sent(world, key="")


def test_of_a_run_that_waits_for_nothing_and_has_ended_no_event_is_closed(world: World) -> None:
    begun(world, step("a"))
    world.backend.cancel_run(RUN)
    with pytest.raises(EventNotFoundError, match="its events are none"):
        sent(world)


def test_what_is_no_event_is_none_in_a_run_that_is_over_too(world: World) -> None:
    begun(world, step("a"))
    done(world, "a")
    with pytest.raises(EventNotFoundError, match=r"its events are none$"):
        sent(world)


@pytest.mark.parametrize("length", [0, 257])
def test_a_senders_key_is_neither_empty_nor_long(world: World, length: int) -> None:
    begun(world, *chain())
    with pytest.raises(ArgumentInvalidError):
        sent(world, key="k" * length)
    assert found(world, "e") is None
    assert sent(world, key="k" * max(1, length - 1))


# -- born by whoever comes first, and looked at soon ------------------------------------------------------------------


def test_a_root_that_was_sent_before_the_run_owes_it_keeps_no_other_from_being_made(world: World) -> None:
    begun_by_who_dies(world, [step("r1"), step("r2"), event("e"), step("r3"), step("end", "r1", "r2", "e", "r3")])
    assert sent(world)
    assert kinds_of(world, "e") == ONCE
    assert found(world, "r3") is None, "that is for whoever begins the run"
    silent(world)
    world.sweep()
    assert found(world, "r3") is not None
    ended(world)


def test_a_root_that_is_owed_is_there_before_it_is_sent(world: World) -> None:
    """Its time runs; nobody else makes it."""
    begun(world, step("r1"), step("r2"), event("e"), step("end", "r1", "r2", "e"))
    assert branch_of(world, "e").status == "open"


def begun_by_who_dies(world: World, steps: list[StepDefinition]) -> None:
    """A run that has started, and owes roots, since whoever has submitted it died then."""
    world.register(steps)
    late = dying(world, "TransactWriteItems", after=True)
    dies(lambda: late.submit_run(RunSubmission(workflow_slug="flow", run_id=RUN)))


@pytest.mark.parametrize("steps", [chain(), AFTER_TWO], ids=["the last", "one of two"])
def test_whoever_comes_to_it_has_it_looked_at_soon(world: World, steps: list[StepDefinition]) -> None:
    """A signal was there before, and a sweep has put the look off until the run's end."""
    begun(world, *steps)
    held = claimed(world, "a")
    sent(world)
    world.sweep()
    assert due_in_us(world) > TIMING.lease_us
    dies(lambda: reported(world, held, by=dying(world, "TransactWriteItems", after=True)))
    assert due_in_us(world) <= TIMING.grace_us
    ended(world)


def test_a_start_has_it_looked_at_soon(world: World) -> None:
    begun(world, *ROOT, available_at=clock.now_us() + HOUR_US)
    sent(world)
    world.sweep()
    world.clock.pause_us(HOUR_US)
    dies(lambda: world.sweep(dying(world, "TransactWriteItems", after=True)))
    assert (run_of(world).status, kinds_of(world, "e")) == ("running", [])
    assert due_in_us(world) <= TIMING.grace_us
    silent(world)
    world.sweep()
    assert kinds_of(world, "e") == ONCE


def test_nobody_polls_it_before_the_run_starts(world: World) -> None:
    begun(world, *ROOT, available_at=clock.now_us() + 1_000 * HOUR_US, timeout=2_000 * HOUR_US)
    sent(world)
    world.sweep()
    assert due_in_us(world) > 999 * HOUR_US


def test_it_is_left_alone_for_a_grace_where_its_run_waits_for_another_to_end(world: World) -> None:
    world.register(ROOT, run_limit=RunLimit(at_most=1))
    for run_id in ("first", RUN):
        world.submit(run_id=run_id)
    sent(world)
    silent(world)
    assert run_of(world).status == "pending"
    world.sweep()
    assert due_in_us(world) == pytest.approx(TIMING.grace_us, abs=10_000)


def test_who_dies_after_a_signal_leaves_it_to_the_next_sweep(world: World) -> None:
    begun(world, *chain())
    done(world, "a")
    assert due_in_us(world) > TIMING.lease_us
    dies(lambda: sent(world, by=dying(world, "UpdateItem", after=True)))
    assert due_in_us(world) <= 0
    assert world.sweep()["events moved"] == 1
    assert kinds_of(world, "e") == ONCE


# -- a signal ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", [False, True], ids=["waiting", "over"])
def test_a_signal_whose_answer_is_lost_is_known_when_it_comes_again(world: World, over: bool) -> None:
    begun(world, *chain())
    if over:
        done(world, "a")
    others = (lambda: world.sweep()) if over else (lambda: None)
    assert sent(world, by=unanswered(world, "UpdateItem", others))
    assert kinds_of(world, "e") == (ONCE if over else [])
    done_if_waiting(world)
    ended(world)


def done_if_waiting(world: World) -> None:
    if kinds_of(world, "a")[-1] is not StepCompleted:
        done(world, "a")


def test_what_is_long_is_put_aside_by_each_sender_for_itself(world: World) -> None:
    begun(world, *chain())
    words = [{"ok": True, "why": noise(seed)} for seed in range(2)]
    assert sent(world, words[0])
    signal = branch_of(world, "e").signal
    assert signal is not None
    assert (signal.text, signal.place is None) == (None, False), "the branch itself holds what is short alone"
    with pytest.raises(EventClosedError) as told:
        sent(world, words[1])
    assert json.loads(told.value.facts["data"]) == words[0]
    done(world, "a")
    world.settle(RUN)
    [given] = [given for mark, given in world.oracle.given.items() if mark.step == "b"]
    assert json.loads(given["e"] or "") == words[0]
    assert branch_of(world, "e").signal == signal.spent == replace(signal, text=None, place=None)
    ended(world)


def noise(seed: int) -> str:
    return random.Random(seed).randbytes(2_000).hex()


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
def test_an_event_may_be_the_last_of_its_run(world: World, long: bool) -> None:
    begun(world, *ALONE)
    data = {"ok": True, "why": noise(1) if long else "yes"}
    assert sent(world, data)
    [end] = [each for each in ended(world).events if isinstance(each, WorkflowCompleted)]
    assert json.loads(end.output) == {"e": data}


def test_a_signal_does_not_open_again_what_is_over(world: World) -> None:
    begun(world, *chain(timeout_us=WAIT_US, on_timeout="skip"), step("x"))
    done(world, "a")
    world.clock.pause_us(WAIT_US + 1)
    world.sweep()
    with pytest.raises(EventClosedError, match="was skipped") as told:
        sent(world)
    assert told.value.facts["state"] == "skipped"
    assert "was skipped" in str(told.value)
    assert branch_of(world, "e").status != "open"
    ended(world)


def test_who_is_late_for_what_has_failed_hears_that_its_time_was_over(world: World) -> None:
    """The run goes on until another step has ended."""
    begun(world, *chain(timeout_us=WAIT_US), step("x"))
    done(world, "a")
    world.clock.pause_us(WAIT_US + 1)
    claimed(world, "x")
    world.sweep()
    assert run_of(world).status == "running"
    with pytest.raises(EventClosedError, match="has run out of time") as told:
        sent(world)
    assert told.value.facts["state"] == "timed-out"


@pytest.mark.parametrize("stops", [False, True], ids=["not yet", "no more"])
def test_nobody_looks_at_an_event_of_a_run_that_does_not_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    begun(world, *ROOT, available_at=None if stops else clock.now_us() + HOUR_US)
    if stops:
        dies(lambda: dying(world, "UpdateItem", after=True).cancel_run(RUN))
    monkeypatch.setattr(AfterCommit, "look_if_possible", lambda *_: pytest.fail("somebody looks"))
    assert sent(world)


def test_who_is_late_reads_what_the_first_has_said_and_changes_nothing(world: World) -> None:
    begun(world, *chain())
    done(world, "a")
    late = pausing(world, "UpdateItem", partial(sent, world))
    with pytest.raises(EventClosedError):
        sent(world, NO, by=late)
    assert world.observer.load_events("flow", RUN, step_id="e", types=["StepCompleted"])[0].output == '{"ok":true}'  # type: ignore[union-attr]


# -- going on ---------------------------------------------------------------------------------------------------------


JOINED = [step("a"), event("e", "a", timeout_us=WAIT_US, on_timeout="skip"), step("x"), step("j", "e", "x")]


@pytest.mark.parametrize("skip", [False, True], ids=["sent", "timed out"])
def test_what_it_arrives_at_is_raised_before(world: World, skip: bool) -> None:
    """Who ends it dies then: the join is full, and a sweep finds it."""
    begun(world, *[each.model_copy(update={"skip_cascades": each.id != "j"}) for each in JOINED])
    done(world, "a", "x")
    late = dying(world, "TransactWriteItems", after=True)
    if skip:
        world.clock.pause_us(WAIT_US + 1)
    dies(lambda: world.sweep(late) if skip else sent(world, by=late))
    assert branch_of(world, "e").status == "ended"
    assert branch_of(world, "j").arrived == 2
    ended(world)


def test_a_root_waits_from_the_start_of_its_run(world: World) -> None:
    begun(world, event("e", timeout_us=WAIT_US), step("a"))
    patience = branch_of(world, "e").patience
    assert patience is not None
    assert patience.until_us == pytest.approx(clock.now_us() + WAIT_US, abs=10_000)
    assert due_in_us(world) == pytest.approx(WAIT_US, abs=10_000)


def test_a_root_that_was_sent_before_its_runs_start_is_over_with_it(world: World) -> None:
    begun(world, *ROOT, available_at=clock.now_us() + HOUR_US)
    assert sent(world)
    world.clock.pause_us(HOUR_US)
    Sweep(world.backend.runtime, name="reaper").attend(RUN, "")
    assert kinds_of(world, "e") == ONCE


def test_what_an_event_gives_is_read_for_its_runs_result_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, step("a", export_output=True), event("e", "a"))
    sent(world, {"ok": True, "why": noise(1)})
    held, long = claimed(world, "a"), branch_of(world, "e").signal
    assert long is not None
    assert long.place is not None
    texts, read = Payloads.texts, list[str]()

    def noted(*given: Any) -> Any:
        read.extend(given[2])
        return texts(*given)

    monkeypatch.setattr(Payloads, "texts", noted)
    reported(world, held)
    assert (run_of(world).status, read) == ("completed", [])


def test_what_was_said_is_kept_where_the_look_at_it_is_left_to_the_sweep(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    begun(world, *chain())
    done(world, "a")
    client = world.store.another_client()

    def busy(request: Request, send: Send) -> Answer:
        is_told = branch_of(world, "e").signal is not None
        return refusal(Kind.THROTTLE, request) if is_told else send(request)

    wire_of(client).add(busy, floor=Floor.FAULT)
    assert sent(world, by=world.another(client))
    assert "a look at e is left to the sweep" in caplog.text
    assert kinds_of(world, "e") == []
    ended(world)
    assert kinds_of(world, "e") == ONCE


def test_a_run_has_begun_though_the_look_at_its_event_is_left_to_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as busy:
        busy.setattr(AfterCommit, "look_at_join", Mock(side_effect=ThrottledError))
        begun(world, *ROOT)
    assert (run_of(world).status, branch_of(world, "a").status) == ("running", "scheduled")
    sent(world)
    ended(world)


def test_all_that_follows_an_event_is_made_by_who_lets_it_go_on(world: World) -> None:
    names = [f"s{number}" for number in range(2 * AT_ONCE + 1)]
    begun(world, *chain(), *(step(name, "e") for name in names))
    done(world, "a")
    sent(world)
    assert [branch_of(world, name).status for name in names] == ["scheduled"] * len(names)
    assert {wake.step for wake in world.mailbox.wakes} >= {"b", *names}


def test_a_look_that_gives_its_run_up_has_moved_the_event(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, *ALONE)
    with monkeypatch.context() as late:
        late.setattr(AfterCommit, "look_if_possible", lambda *_: None)
        sent(world)
    silent(world)
    too_large = PayloadTooLargeError(bytes=2, limit=1)
    monkeypatch.setattr(Payloads, "put_run_output", Mock(side_effect=too_large))
    assert world.sweep()["events moved"] == 1
    assert run_of(world).status == "failed"


def test_a_look_at_what_has_gone_on_changes_nothing(world: World) -> None:
    begun(world, *chain())
    done(world, "a")
    sent(world)
    before = branch_of(world, "e")
    after_commit = AfterCommit(world.backend.runtime)
    after_commit.look_at_join(world.backend.runtime.facts(run_of(world)), "e")
    assert branch_of(world, "e") == before
    ended(world)


def test_of_two_looks_one_lets_it_go_on(world: World) -> None:
    begun(world, *chain())
    done(world, "a")

    def others() -> None:
        assert world.sweep()["events moved"] == 1
        claimed(world, "b", branch="e")

    sent(world, by=pausing(world, "TransactWriteItems", others))
    assert branch_of(world, "e").status == "running"
    assert kinds_of(world, "e") == ONCE


def test_it_goes_on_in_the_runs_attempt_of_now(world: World) -> None:
    """Its sender had read the run before that was tried again."""
    begun(world, *chain(), step("x"))

    def others() -> None:
        reported(world, claimed(world, "x"), FATAL)
        reported(world, held, FATAL)
        world.observer.retry_run(RUN)

    held = claimed(world, "a")
    sent(world, by=pausing(world, "UpdateItem", others))
    assert branch_of(world, "e").run_attempt == 1
    reported(world, claimed(world, "a", 2))
    assert (branch_of(world, "e").step, branch_of(world, "e").run_attempt) == ("b", 2)
    ended(world)


@pytest.mark.parametrize("over", [False, True], ids=["sent", "timed out"])
def test_it_does_not_go_on_in_a_run_that_is_being_stopped(world: World, over: bool) -> None:
    begun(world, *chain(timeout_us=WAIT_US, on_timeout="skip"))
    done(world, "a")
    late = pausing(world, "TransactWriteItems", lambda: world.observer.cancel_run(RUN))
    if over:
        world.clock.pause_us(WAIT_US + 1)
        world.sweep(late)
    else:
        sent(world, by=late)
    assert (branch_of(world, "e").status, kinds_of(world, "e")) == ("open", [])
    assert world.check(RUN).status == "cancelled"


def test_its_time_does_not_begin_in_a_run_that_is_being_stopped(world: World) -> None:
    begun(world, *chain(timeout_us=WAIT_US))
    held = claimed(world, "a")
    dies(lambda: reported(world, held, by=dying(world, "TransactWriteItems", after=True)))
    dies(lambda: dying(world, "UpdateItem", after=True).cancel_run(RUN))
    silent(world)
    Sweep(world.backend.runtime, name="other").attend(RUN, "e")
    assert (branch_of(world, "e").status, branch_of(world, "e").patience) == ("open", None)
    world.settle(RUN)
    assert world.check(RUN).status == "cancelled"


def test_a_skip_in_cascade_wins_over_a_signal(world: World) -> None:
    begun(world, *chain())
    sent(world)
    world.script = {"a": ["skip"]}
    reported(world, held := claimed(world, "a"), world.act(held, "worker-1"))
    ended(world)
    assert kinds_of(world, "e") == [StepSkipped]


# -- waiting ----------------------------------------------------------------------------------------------------------


def test_its_timeout_counts_from_when_all_is_there_and_fails_it(world: World) -> None:
    begun(world, *chain(timeout_us=WAIT_US))
    world.clock.pause_us(TIMING.lease_us)
    world.sweep()
    done(world, "a")
    assert abs(due_in_us(world) - WAIT_US) < 1_000_000
    world.clock.pause_us(WAIT_US + 1)
    world.mailbox.wakes.clear()
    world.sweep()
    checked = ended(world, "failed")
    [failure] = [each for each in checked.events if isinstance(each, StepFailed)]
    assert (failure.failure_reason, failure.terminal, failure.error.name) == ("timeout", True, "EventTimeout")
    assert kinds_of(world, "e") == [StepScheduled, StepFailed]


def test_who_sends_what_was_skipped_is_told_so(world: World) -> None:
    begun(world, *chain(), step("other"))
    world.script = {"a": ["skip"]}
    reported(world, held := claimed(world, "a"), world.act(held, "worker-1"))
    with pytest.raises(EventClosedError, match="was skipped") as told:
        sent(world)
    assert told.value.facts["state"] == "skipped"


@pytest.mark.parametrize(("steps", "known"), [(chain(), "e"), ([step("a")], "none")], ids=["one", "none"])
def test_who_names_no_event_is_told_those_that_there_are(world: World, steps: list[StepDefinition], known: str) -> None:
    begun(world, *steps)
    with pytest.raises(EventNotFoundError, match=f"its events are {known}$"):
        world.backend.send_event(RUN, "other", YES)


@pytest.mark.parametrize("key", ["", "k" * 1_000], ids=["empty", "long"])
def test_what_is_no_key_is_refused(world: World, key: str) -> None:
    begun(world, *chain())
    with pytest.raises(ArgumentInvalidError):
        sent(world, key=key)


def test_a_timeout_may_skip_it_and_what_follows(world: World) -> None:
    begun(world, *chain(timeout_us=WAIT_US, on_timeout="skip"))
    done(world, "a")
    world.clock.pause_us(WAIT_US + 1)
    world.sweep()
    ended(world)
    assert kinds_of(world, "e") == [StepScheduled, StepSkipped]
    assert kinds_of(world, "b") == [StepSkipped]


def test_a_note_does_not_hide_a_signal_that_came_before_it(world: World) -> None:
    """Whoever looked had read the event before; and who has sent it died then."""
    begun(world, *chain(timeout_us=WAIT_US))
    held = claimed(world, "a")

    def others() -> None:
        dies(lambda: sent(world, by=dying(world, "UpdateItem", after=True)))

    reported(world, held, by=pausing(world, "UpdateItem", others, at=2))
    assert due_in_us(world) <= 0
    world.sweep()
    assert kinds_of(world, "e") == ONCE


@pytest.mark.parametrize("on_timeout", ["fail", "skip"])
def test_a_signal_just_before_the_timeouts_write_wins_whole(world: World, on_timeout: str) -> None:
    begun(world, *chain(timeout_us=WAIT_US, on_timeout=on_timeout))
    done(world, "a")
    world.clock.pause_us(WAIT_US + 1)

    def others() -> None:
        dies(lambda: sent(world, by=dying(world, "UpdateItem", after=True)))

    world.sweep(pausing(world, "TransactWriteItems", others))
    assert kinds_of(world, "e") == []
    ended(world)
    assert kinds_of(world, "e") == ONCE


def test_a_signal_just_after_the_timeout_loses_whole(world: World) -> None:
    begun(world, *chain(timeout_us=WAIT_US, on_timeout="skip"))
    done(world, "a")
    world.clock.pause_us(WAIT_US + 1)
    with pytest.raises(EventClosedError):
        sent(world, by=pausing(world, "UpdateItem", lambda: world.sweep()))
    ended(world)
    assert kinds_of(world, "e") == [StepScheduled, StepSkipped]


def test_who_waits_for_the_rest_is_left_alone_until_the_runs_end(world: World) -> None:
    begun(world, *AFTER_TWO)
    done(world, "a")
    world.clock.pause_us(TIMING.silence_us)
    world.sweep()
    assert due_in_us(world) > HOUR_US // 2
    assert due_in_us(world) <= HOUR_US


def test_it_is_not_left_alone_by_who_has_read_it_before_the_last_arrival(world: World) -> None:
    begun(world, *AFTER_TWO)
    sent(world)
    done(world, "a")
    held = claimed(world, "c")
    world.clock.pause_us(TIMING.grace_us + 1)

    def others() -> None:
        dies(lambda: reported(world, held, by=dying(world, "TransactWriteItems", after=True)))

    world.sweep(pausing_at_look(world, others))
    assert (branch_of(world, "e").status, branch_of(world, "e").arrived) == ("open", 2)
    assert due_in_us(world) <= TIMING.grace_us
    silent(world)
    world.sweep()
    assert kinds_of(world, "e") == ONCE


def pausing_at_look(world: World, others: Any) -> Any:
    """A sweep that pauses before it puts the look at the event off."""
    client, left = world.store.another_client(), [others]

    def pause(request: Request, send: Send) -> Answer:
        if request.operation == "UpdateItem" and request.body["Key"]["sk"]["S"] == "B#e" and left:
            left.pop()()
        return send(request)

    wire_of(client).add(pause, floor=Floor.SCHEDULE)
    return world.another(client)


def test_it_is_not_left_alone_while_somebody_stands_between_raise_and_commit(world: World) -> None:
    begun(world, *AFTER_TWO)
    sent(world)
    done(world, "a")
    held = claimed(world, "c")

    def others() -> None:
        world.clock.pause_us(TIMING.grace_us + 1)
        world.sweep()

    late = pausing(world, "TransactWriteItems", others)
    wire_of(late.runtime.ledger.table.client).add(dying_after("TransactWriteItems", at=1), floor=Floor.SCHEDULE)
    dies(lambda: reported(world, held, by=late))
    assert (branch_of(world, "e").status, branch_of(world, "c").status) == ("open", "running")
    assert due_in_us(world) <= TIMING.grace_us
    silent(world)
    world.sweep()
    reported(world, claimed(world, "c", 2))
    assert kinds_of(world, "e") == ONCE


def dying_after(operation: str, *, at: int) -> Any:
    numbers = count(1)

    def die(request: Request, send: Send) -> Answer:
        try:
            return send(request)
        finally:
            if request.operation == operation and next(numbers) == at:
                raise Crash("here")

    return die


# -- stops and retries of the run -------------------------------------------------------------------------------------


def test_a_retry_of_the_run_lets_what_has_timed_out_wait_again(world: World) -> None:
    begun(world, *chain(timeout_us=WAIT_US))
    done(world, "a")
    world.clock.pause_us(WAIT_US + 1)
    world.sweep()
    assert run_of(world).status == "failed"
    world.backend.retry_run(RUN)
    assert branch_of(world, "e").status == "open"
    assert abs(due_in_us(world) - WAIT_US) < 1_000_000
    assert sent(world)
    ended(world)
    assert kinds_of(world, "e") == [StepScheduled, StepFailed, *ONCE]


def test_another_attempts_note_counts_as_none(world: World) -> None:
    """Who has revived it died before the look, and the time noted before is over."""
    begun(world, *chain(timeout_us=WAIT_US), step("x"), timeout=DAY_US)
    done(world, "a")
    reported(world, claimed(world, "x"), FATAL)
    world.clock.pause_us(WAIT_US + 1)
    dies(lambda: dying(world, "TransactWriteItems", after=True, at=2).retry_run(RUN))
    assert branch_of(world, "e").run_attempt == 2
    silent(world)
    world.sweep()
    assert (branch_of(world, "e").status, kinds_of(world, "e")) == ("open", [])
    assert due_in_us(world) > WAIT_US // 2


def test_a_timeout_of_an_attempt_that_is_over_ends_nothing(world: World) -> None:
    begun(world, *chain(timeout_us=WAIT_US, on_timeout="skip"), step("x"), timeout=DAY_US)
    done(world, "a")
    world.clock.pause_us(WAIT_US + 1)

    def others() -> None:
        reported(world, claimed(world, "x"), FATAL)
        world.observer.retry_run(RUN)

    world.sweep(pausing(world, "TransactWriteItems", others))
    assert (branch_of(world, "e").status, kinds_of(world, "e")) == ("open", [])
    sent(world)
    ended(world)


def test_a_signal_stays_over_a_retry_of_the_run(world: World) -> None:
    begun(world, *chain(), step("x"))
    held = claimed(world, "a")
    sent(world)
    reported(world, claimed(world, "x"), FATAL)
    reported(world, held, FATAL)
    with pytest.raises(EventClosedError):
        sent(world)
    world.backend.retry_run(RUN)
    reported(world, claimed(world, "a", 2))
    assert kinds_of(world, "e") == ONCE
    ended(world)


def test_a_retry_brings_it_back_into_the_index(world: World) -> None:
    begun(world, *chain(), step("x"))
    done(world, "a")
    world.backend.cancel_run(RUN)
    world.clock.pause_us(HOUR_US + 1)
    world.sweep()
    assert keys.DUE_SHARD not in item_of(world, keys.branch(RUN, "e"))
    dies(lambda: dying(world, "TransactWriteItems", after=True, at=2).retry_run(RUN))
    assert branch_of(world, "e").run_attempt == 2
    assert 0 < due_in_us(world) <= TIMING.grace_us


def test_a_sweep_that_saw_the_runs_end_takes_nothing_out_that_was_put_in_since(world: World) -> None:
    begun(world, *chain(), step("x"))
    done(world, "a")
    world.backend.cancel_run(RUN)
    world.clock.pause_us(HOUR_US + 1)
    world.sweep(pausing_at_look(world, lambda: world.observer.retry_run(RUN)))
    assert keys.DUE_SHARD in item_of(world, keys.branch(RUN, "e"))
    sent(world)
    ended(world)


# -- new runs out of old ones -----------------------------------------------------------------------------------------


def test_what_is_kept_keeps_its_payload_and_what_runs_again_waits_again(world: World) -> None:
    begun(world, *chain(), step("c", "b"))
    done(world, "a")
    sent(world)
    world.settle(RUN)
    again = world.backend.rerun_from(parent_run_id=RUN, from_step_id="c").run_id
    world.settle(again)
    world.check(again)
    with pytest.raises(EventClosedError):
        world.backend.send_event(again, "e", NO)
    anew = world.backend.rerun_from(parent_run_id=RUN, from_step_id="a").run_id
    while world.mailbox.wakes:
        world.deliver(world.mailbox.wakes.pop(0))
    assert world.observer.load_events("flow", anew, step_id="e") == []
    assert world.backend.send_event(anew, "e", NO).is_new
    world.settle(anew)
    assert world.check(anew).count(StepCompleted, "e") == 1


@pytest.mark.parametrize("from_step", ["c", "e"], ids=["kept", "waiting again"])
def test_a_signal_to_a_copy_whose_branches_are_owed_keeps_none_from_being_made(world: World, from_step: str) -> None:
    begun(world, *chain(), step("c", "b"))
    done(world, "a")
    sent(world)
    world.settle(RUN)
    late = dying(world, "PutItem", after=True, at=2)
    dies(lambda: late.rerun_from(parent_run_id=RUN, from_step_id=from_step))
    [copy] = [run.run_id for run in world.observer.list_runs().runs if run.run_id != RUN]
    assert world.observer.runtime.run(copy).owed == 0
    if from_step == "c":
        with pytest.raises(EventClosedError):
            world.backend.send_event(copy, "e", NO)
    else:
        world.backend.send_event(copy, "e", NO)
    world.settle(copy)
    assert world.check(copy).status == "completed"


def owing(world: World) -> str:
    """A copy that waits for its event again, and still owes all its branches."""
    begun(world, *chain())
    done(world, "a")
    sent(world)
    world.settle(RUN)
    late = dying(world, "PutItem", after=True, at=2)
    dies(lambda: late.rerun_from(parent_run_id=RUN, from_step_id="e"))
    [copy] = [run.run_id for run in world.observer.list_runs().runs if run.run_id != RUN]
    assert world.observer.runtime.run(copy).owed == 0
    return copy


def test_a_signal_to_a_copy_whose_branches_another_makes_meanwhile_is_heard(world: World) -> None:
    copy = owing(world)
    others = partial(Runs(world.observer.runtime).make_owed_roots, world.observer.runtime.run(copy))
    assert pausing(world, "TransactWriteItems", others).send_event(copy, "e", NO).is_new
    world.settle(copy)
    assert world.check(copy).status == "completed"


def test_who_sends_to_a_copy_that_is_stopped_before_it_has_begun_is_told_to_ask_again(world: World) -> None:
    copy = owing(world)
    dies(lambda: dying(world, "UpdateItem", after=True).cancel_run(copy))
    with pytest.raises(ConflictError, match="is being stopped"):
        world.backend.send_event(copy, "e", NO)
    world.settle(copy)
    assert world.check(copy).status == "cancelled"


def test_who_sends_to_an_event_that_has_expired_meanwhile_is_told_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(world, *chain())
    monkeypatch.setattr(Ledger, "tell_event", Mock(side_effect=BranchRefused(None)))
    with pytest.raises(EventClosedError, match="has run out of time") as told:
        sent(world)
    assert told.value.facts["state"] == "timed-out"


def test_what_is_known_again_is_the_same_for_every_release() -> None:
    """One release has stored it, and another compares."""
    assert {mark_of(text, "key") for text in ('{"b":1,"a":2}', '{"a":2,"b":1}')} == {"4b8b589cfbac1c4be3f00d38ecdf6c91"}
    assert mark_of("null", None) == "6d9695b0f6f0de8c737c15a199b16580"


def test_what_a_copy_has_kept_of_its_causes_is_counted_at_its_birth(world: World) -> None:
    """In a copy it may be there already, where somebody was quick to send it: then its birth counts as raises do."""
    begun(world, *AFTER_TWO)
    facts = claimed(world, "a").facts
    put = birth_put(facts, Birth(Branch("e", "open", "e", arrived=2, due_us=7)), None)
    assert isinstance(put, Update)
    assert (put.add, put.set["due"]) == ({"n": 2}, 7)


def test_a_raise_of_what_is_over_changes_nothing(world: World) -> None:
    begun(world, *chain(), step("x"))
    done(world, "a")
    sent(world)
    before = branch_of(world, "e")
    facts = world.backend.runtime.facts(run_of(world))
    JoinLedger(world.backend.runtime.ledger.table).raise_join(facts, "e", arrivals=1, now_us=clock.now_us())
    assert branch_of(world, "e") == before


def test_who_asks_for_a_look_by_an_old_reading_is_refused(world: World) -> None:
    begun(world, step("a"), step("b"), step("j", "a", "b"))
    held, ledger = claimed(world, "a"), JoinLedger(world.backend.runtime.ledger.table)
    ledger.ask_to_look(RUN, held.branch)
    reported(world, held, KeepCheckpoint("part", 0, "1"))
    with pytest.raises(BranchRefused):
        ledger.ask_to_look(RUN, held.branch)
