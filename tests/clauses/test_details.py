"""What is shown of a run to who looks at it: whether its events are waited for, and what there is none of."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import (
    EventDefinition,
    LogEntry,
    RunSubmission,
    StepDefinition,
    StepNotFoundError,
    VersionNotFoundError,
    clock,
)
from cascade_flow.dynamodb import items
from cascade_flow.engine.commands import SkipStep
from cascade_flow.operations.details import Details, OutsideDetails
from cascade_flow.operations.logs import Logs
from clauses.stage import FATAL, RUN, begun, branch_of, claimed, dies, done, dying, found, reported, run_of
from simulation import TIMING, World, step

HOUR_US = 3_600_000_000


def event(id: str, *dependencies: str, **declared: Any) -> StepDefinition:
    return step(id, *dependencies, event=EventDefinition(**declared))


def outside(world: World) -> OutsideDetails:
    """What is shown of the run's event."""
    [shown] = all_outside(world)
    return shown


def all_outside(world: World) -> list[OutsideDetails]:
    return [each.event for each in Details(world.observer.runtime).steps(RUN) if each.event is not None]


def test_an_event_is_waited_for_when_all_before_it_is_over(world: World) -> None:
    begun(world, step("a"), step("c"), step("beside"), event("e", "a", "c"), timeout=HOUR_US)
    done(world, "a", "beside")
    shown = outside(world)
    assert (shown.waits, shown.until_us, shown.sent_us) == (False, None, None)
    done(world, "c")
    shown = outside(world)
    assert (shown.waits, shown.until_us, shown.sent_us) == (True, run_of(world).deadline_us, None)


def test_an_event_is_waited_for_also_where_what_is_before_it_was_skipped(world: World) -> None:
    begun(world, step("a"), step("e", "a", event=EventDefinition(), skip_cascades=False))
    reported(world, claimed(world, "a"), SkipStep("nothing to do", 1))
    assert outside(world).waits


def test_an_event_that_was_sent_before_says_when(world: World) -> None:
    begun(world, step("a"), event("e", "a"))
    sent_us = clock.now_us()
    world.backend.send_event(RUN, "e", None)
    shown = outside(world)
    assert (shown.waits, shown.sent_us is not None and 0 <= shown.sent_us - sent_us < 1_000_000) == (False, True)


def test_a_workflow_shows_the_version_that_new_runs_get_and_any_other_by_its_id(world: World) -> None:
    world.register([step("old")])
    world.register([step("new"), step("newer")])
    workflow = Details(world.observer.runtime).workflow("flow")
    shown = {version.version_id: version.step_manifest for version in workflow.versions}
    assert list(shown.values()) == [["old"], ["new", "newer"]]
    for version_id, names in shown.items():
        version = Details(world.observer.runtime).version("flow", version_id)
        assert (version.version.version_id, [found.id for found, _ in version.steps]) == (version_id, names)
    assert workflow.current is not None
    assert workflow.current.version.step_manifest == ["new", "newer"]
    assert workflow.version("none") is None
    world.register([step("old")])
    back = Details(world.observer.runtime).workflow("flow").current
    assert back is not None
    assert back.version.step_manifest == ["old"], "the newest is not the current one"
    with pytest.raises(VersionNotFoundError, match=", ".join(shown)):
        Details(world.observer.runtime).version("flow", "none")


def test_a_step_of_which_there_is_nothing_is_a_step_all_the_same(world: World) -> None:
    begun(world, step("a"), step("b", "a"))
    details = Details(world.observer.runtime)
    assert [details.logs(RUN, step_id=name, attempt=None) for name in (None, "a", "b")] == [[], [], []]
    assert [*details.events(RUN, step_id="b")] == [*details.events(RUN, types=["StepFailed"])] == []
    with pytest.raises(StepNotFoundError, match="its steps are a, b"):
        details.logs(RUN, step_id="c", attempt=None)


def test_a_step_has_the_lines_of_the_attempt_that_is_asked_for(world: World) -> None:
    begun(world, step("a"), step("b"))
    held = claimed(world, "a")
    for name, message in (("a", "hello"), ("b", "goodbye")):
        Logs(world.backend.runtime).store(run_of(world), name, 1, [(clock.now_us(), "stdout", message)])
    reported(world, held)
    details = Details(world.observer.runtime)
    assert [line.message for line in details.logs(RUN, step_id="a", attempt=1)] == ["hello"]
    assert details.logs(RUN, step_id="a", attempt=2) == []
    assert [line.message for line in details.logs(RUN, step_id=None, attempt=1)] == ["hello", "goodbye"]


def test_no_more_of_a_log_is_read_than_was_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(world, step("a"), step("b"))
    for name, attempt in (("a", 1), ("a", 2), ("b", 1)):
        Logs(world.backend.runtime).store(run_of(world), name, attempt, [(clock.now_us(), "stdout", "hello")])
    read, parsed = list[Any](), items.to_log_lines

    def noted(item: Any) -> Any:
        read.append(item)
        return parsed(item)

    monkeypatch.setattr(items, "to_log_lines", noted)
    for wanted, number, chunks in (("a", 1, 1), ("a", None, 2), (None, None, 3)):
        read.clear()
        assert len(Details(world.observer.runtime).logs(RUN, step_id=wanted, attempt=number)) == chunks
        assert len(read) == chunks


def test_a_line_that_comes_as_an_event_is_told_as_it_was_said(world: World) -> None:
    begun(world, step("a"))
    said: dict[str, object] = {"workflow_slug": "flow", "run_id": RUN, "timestamp_us": clock.now_us()}
    told = {"step_id": "a", "attempt_number": 2, "stream": "stderr", "message": "hello"}
    world.backend.append_event("flow", RUN, LogEntry.model_validate({**said, **told}))
    [line] = Details(world.observer.runtime).logs(RUN, step_id=None, attempt=None)
    assert (line.step_id, line.attempt_number, line.stream, line.message) == ("a", 2, "stderr", "hello")


def waited_for(world: World) -> tuple[bool, int | None]:
    shown = outside(world)
    return shown.waits, shown.until_us


def test_an_event_is_waited_for_by_no_run_that_has_not_begun_and_by_none_that_stops_or_has_ended(world: World) -> None:
    begun(world, event("e"), step("a"), step("b"), available_at=clock.now_us() + HOUR_US, timeout=9 * HOUR_US)
    assert waited_for(world) == (False, None)
    world.clock.pause_us(HOUR_US)
    world.sweep()
    assert waited_for(world) == (True, run_of(world).deadline_us)
    held = claimed(world, "a")
    reported(world, claimed(world, "b"), FATAL)
    assert (waited_for(world), run_of(world).status) == ((False, None), "running"), "it waits for who is at work"
    reported(world, held)
    assert (waited_for(world), run_of(world).status) == ((False, None), "failed")


def test_an_event_that_was_waited_for_and_is_over_says_when_it_was_sent(world: World) -> None:
    begun(world, event("e"), step("a"))
    sent_us = clock.now_us()
    world.backend.send_event(RUN, "e", None)
    shown = outside(world)
    assert (shown.declared, shown.waits, shown.until_us) == (EventDefinition(), False, None)
    assert sent_us < (shown.sent_us or 0) < clock.now_us()
    world.backend.cancel_run(RUN)
    assert outside(world) == shown


def test_an_event_is_waited_for_until_its_own_time_is_over_as_noted_in_this_attempt_of_the_run(world: World) -> None:
    begun(world, event("e", timeout_us=HOUR_US), step("a"), timeout=9 * HOUR_US)
    deadline_us, noted = run_of(world).deadline_us, branch_of(world, "e").patience
    assert noted is not None
    assert noted.until_us != deadline_us
    assert waited_for(world) == (True, noted.until_us)
    reported(world, claimed(world, "a"), FATAL)
    world.clock.pause_us(HOUR_US // 2)
    dies(lambda: dying(world, "UpdateItem").retry_run(RUN))
    assert branch_of(world, "e").patience == noted, "nobody has looked at it since"
    assert waited_for(world) == (True, run_of(world).deadline_us)
    world.clock.pause_us(2 * TIMING.grace_us)
    world.sweep()
    again = branch_of(world, "e").patience
    assert again is not None
    assert (waited_for(world), noted.until_us < again.until_us) == ((True, again.until_us), True)


def test_events_that_nothing_has_led_to_yet_are_shown_and_waited_for_in_their_turn(world: World) -> None:
    begun(world, step("a"), *(event(f"e{number}", "a") for number in range(6)))
    assert found(world, "e5") is None
    assert all_outside(world) == [OutsideDetails(EventDefinition(), waits=False, until_us=None, sent_us=None)] * 6
    done(world, "a")
    until_us = run_of(world).deadline_us
    assert all_outside(world) == [OutsideDetails(EventDefinition(), waits=True, until_us=until_us, sent_us=None)] * 6


def test_events_that_who_died_has_left_to_be_made_are_waited_for_already(world: World) -> None:
    world.register([event(f"e{number}") for number in range(6)])
    submission = RunSubmission(workflow_slug="flow", run_id=RUN)
    dies(lambda: dying(world, "TransactWriteItems", after=True).submit_run(submission))
    assert (found(world, "e5"), run_of(world).status) == (None, "running")
    assert [shown.waits for shown in all_outside(world)] == [True] * 6


def test_an_event_that_was_sent_by_who_died_over_it_says_so_while_it_is_waited_for(world: World) -> None:
    begun(world, event("e"), step("a"))
    dies(lambda: dying(world, "UpdateItem", after=True).send_event(RUN, "e", None))
    signal, shown = branch_of(world, "e").signal, outside(world)
    assert signal is not None
    assert (shown.waits, shown.sent_us) == (True, signal.at_us)
