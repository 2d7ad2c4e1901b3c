"""What is no id is refused by each use case itself, whoever asks: HTTP and the console come through no contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cascade_flow import InvalidIdError, RunSubmission, StepLimit, WorkflowVersion
from cascade_flow.dynamodb.listing import Filter
from cascade_flow.model.events import LogEntry, StepError
from cascade_flow.operations.registry import Registry
from cascade_flow.operations.reports import Report, Reports, beat, completion, failure, postponement, skip
from cascade_flow.operations.reruns import Reruns
from cascade_flow.operations.retries import Retries
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.schedules import Schedules
from cascade_flow.operations.signals import Signals
from cascade_flow.operations.steps import Slot
from clauses.stage import RUN, begun, registration, reports_of, whole_table
from contract.called import FLOW, Called
from simulation import World, step

BAD = "no id"
"""Whatever it is asked for as."""
ERROR = StepError(name="ValueError", message="no")
LINE = LogEntry(
    timestamp_us=1, workflow_slug=FLOW, run_id=RUN, step_id="a", stream="stdout", message="x", attempt_number=1
)
Place = tuple[str, str, str]
"""A workflow, a run, a step."""

RUNS: dict[str, Callable[[Runs], object]] = {
    "submit": lambda runs: runs.submit(RunSubmission(workflow_slug=BAD)),
    "submit under an id": lambda runs: runs.submit(RunSubmission(workflow_slug="flow", run_id=BAD)),
    "submit under a child's id": lambda runs: runs.submit(RunSubmission(workflow_slug="flow", run_id="r~a~0")),
    "get": lambda runs: runs.get(BAD),
    "cancel": lambda runs: runs.cancel(BAD, None),
    "page": lambda runs: runs.page(workflow_slug=BAD, status=None, tags=None, limit=1, offset=0),
    "found": lambda runs: runs.found(BAD, Filter(), limit=1),
    "count": lambda runs: runs.count(BAD, Filter()),
    "tally": lambda runs: runs.tally(BAD, Filter()),
    "ids": lambda runs: runs.ids(BAD),
}
REGISTRY: dict[str, Callable[[Registry], object]] = {
    "register": lambda registry: registry.register(registration(slug=BAD)),
    "deploy": lambda registry: registry.deploy([registration(slug=BAD)]),
    "register a step": lambda registry: registry.register(registration(step(BAD))),
    "register a limit": lambda registry: registry.register(
        registration(step("a", limit=StepLimit(name=BAD, at_most=1)))
    ),
    "register a rate": lambda registry: registry.register(
        registration(step("a", limit=StepLimit(name=BAD, at_most=1, per_ms=1_000)))
    ),
    "register a pool": lambda registry: registry.register(registration(step("a", executor=BAD))),
    "create_version": lambda registry: registry.create_version(versioned(workflow_slug=BAD)),
    "create_version of a pool": lambda registry: registry.create_version(versioned(steps=[step("a", executor=BAD)])),
    "metadata": lambda registry: registry.metadata(BAD),
    "steps": lambda registry: registry.steps(BAD),
    "versions": lambda registry: registry.versions(BAD),
    "version": lambda registry: registry.version(BAD, "v1"),
    "current_version": lambda registry: registry.current_version(BAD),
}
OTHERS: dict[str, Callable[[Runtime], object]] = {
    "retry": lambda runtime: Retries(runtime).retry(BAD, None),
    "resume": lambda runtime: Reruns(runtime).resume(BAD),
    "rerun": lambda runtime: Reruns(runtime).rerun_from(BAD, "a", None),
    "rerun from a step": lambda runtime: Reruns(runtime).rerun_from(RUN, BAD, None),
    "send": lambda runtime: Signals(runtime).send(BAD, "e", None),
    "send an event": lambda runtime: Signals(runtime).send(RUN, BAD, None),
    "list schedules": lambda runtime: Schedules(runtime).list(BAD),
    "a schedule's workflow": lambda runtime: Schedules(runtime).get(BAD, "s"),
    "a schedule": lambda runtime: Schedules(runtime).get("flow", BAD),
    "pause": lambda runtime: Schedules(runtime).pause("flow", BAD),
    "resume a schedule": lambda runtime: Schedules(runtime).resume("flow", BAD),
    "trigger": lambda runtime: Schedules(runtime).trigger("flow", BAD),
    "backfill": lambda runtime: Schedules(runtime).backfill("flow", BAD, from_us=0, until_us=0),
}


def versioned(**said: Any) -> WorkflowVersion:
    usual = {"workflow_slug": "flow", "version_id": "v1", "version_number": 1, "created_at": 1, "total_steps": 1}
    return WorkflowVersion(**{**usual, "step_manifest": ["a"], **said})


@pytest.mark.parametrize("use", RUNS)
def test_of_what_is_no_id_there_is_no_run(world: World, use: str) -> None:
    world.register([step("a")])
    before = whole_table(world)
    with pytest.raises(InvalidIdError):
        RUNS[use](Runs(world.backend.runtime))
    assert whole_table(world) == before


@pytest.mark.parametrize("use", REGISTRY)
def test_of_what_is_no_id_there_is_no_workflow(world: World, use: str) -> None:
    with pytest.raises(InvalidIdError):
        REGISTRY[use](world.backend.runtime.registry)
    assert whole_table(world) == []


@pytest.mark.parametrize("use", OTHERS)
def test_with_what_is_no_id_nothing_is_done(world: World, use: str) -> None:
    begun(world, step("a"))
    before, woken = whole_table(world), [*world.mailbox.wakes]
    with pytest.raises(InvalidIdError):
        OTHERS[use](world.backend.runtime)
    assert (whole_table(world), world.mailbox.wakes) == (before, woken)


def reporting(report_of: Callable[[str], Report]) -> Callable[[Reports, Place], object]:
    return lambda reports, place: reports.report(*place, report_of(place[-1]))


WORDS: dict[str, Callable[[Reports, Place], object]] = {
    "complete": reporting(lambda id: completion(id, 1, "1", duration_us=1, export_output=False, usage=None)),
    "skip": reporting(lambda id: skip(id, 1, reason="no", duration_us=1, metadata=None, skip_type="primary")),
    "postpone": reporting(lambda id: postponement(id, 1, "later", at_us=None, delay_us=1_000_000)),
    "fail": reporting(
        lambda id: failure(
            id,
            1,
            ERROR,
            duration_us=1,
            terminal=False,
            reason="execution-error",
            next_retry_at_us=None,
            chance=0,
            usage=None,
        )
    ),
    "claim": lambda reports, place: reports.claim(*place, "w", dependencies=[], slot=Slot()),
    "heartbeat": lambda reports, place: reports.heartbeat(*place, beat(place[-1], "w", 1, slot=Slot())),
    "logs": lambda reports, place: reports.logs(*place, [LINE]),
}
"""All that a worker outside of the engine may say."""


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("driver", ["engine", "caller"])
def test_of_what_is_no_step_nothing_is_told(world: World, driver: str, word: str) -> None:
    if driver == "engine":
        begun(world, step("a"))
        slug, run_id = "flow", RUN
    else:
        slug, run_id = FLOW, Called.with_step(world.backend).run_id
    before = whole_table(world)
    for place in ((slug, run_id, BAD), (slug, BAD, "a")):
        with pytest.raises(InvalidIdError):
            WORDS[word](reports_of(world), place)
    assert whole_table(world) == before
