"""What is shown of a run to who looks at it: whether its events are waited for, and what there is none of."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import EventDefinition, StepDefinition, StepNotFoundError, VersionNotFoundError, clock
from cascade_flow.operations.details import Details, OutsideDetails
from cascade_flow.operations.logs import Logs
from clauses.stage import RUN, begun, claimed, done, reported, run_of
from simulation import World, step

HOUR_US = 3_600_000_000


def event(id: str, *dependencies: str, **declared: Any) -> StepDefinition:
    return step(id, *dependencies, event=EventDefinition(**declared))


def outside(world: World) -> OutsideDetails:
    """What is shown of the run's event."""
    [found] = [each.event for each in Details(world.observer.runtime).steps(RUN) if each.event is not None]
    return found


def test_an_event_is_waited_for_when_all_before_it_is_over(world: World) -> None:
    begun(world, step("a"), step("c"), step("beside"), event("e", "a", "c"), timeout=HOUR_US)
    done(world, "a", "beside")
    shown = outside(world)
    assert (shown.waits, shown.until_us, shown.sent_us) == (False, None, None)
    done(world, "c")
    shown = outside(world)
    assert (shown.waits, shown.until_us, shown.sent_us) == (True, run_of(world).deadline_us, None)


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
    begun(world, step("a"))
    held = claimed(world, "a")
    Logs(world.backend.runtime).store(run_of(world), "a", 1, [(clock.now_us(), "stdout", "hello")])
    reported(world, held)
    details = Details(world.observer.runtime)
    assert [line.message for line in details.logs(RUN, step_id="a", attempt=1)] == ["hello"]
    assert details.logs(RUN, step_id="a", attempt=2) == []
