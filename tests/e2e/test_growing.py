"""A map on the deployed stack, whose workers are killed at random: every item is done once, and the output is right."""

from __future__ import annotations

import os
import signal
from functools import partial
from random import Random

import pytest

from cascade_flow import StepCheckpoint, StepCompleted, StepStarted
from cascade_flow.cli.families import meant
from cascade_flow.local import worker_pids
from cascade_flow.operations.details import Details
from checker import check_run
from e2e.stack import Stack
from e2e.waiting import until
from e2e.workflows.trials.growing import BATCH
from e2e.workflows.trials.meeting import Meeting


@pytest.mark.parametrize(("items", "deaths"), [(60, 1), pytest.param(500, 12, marks=pytest.mark.slow)])
def test_a_map_whose_workers_are_killed(stack: Stack, meeting: Meeting, items: int, deaths: int) -> None:
    """One in an item, others at random."""
    run_id = stack.submit("harvest", input={"items": items, "meeting": meeting.model_dump(mode="json")})
    [torn] = until(lambda: meeting.visits("pick"), otherwise=lambda: stack.told(run_id))
    os.kill(torn.pid, signal.SIGKILL)
    meeting.let_go("pick")
    random = Random(items)
    for death in range(1, deaths + 1):
        wanted = death * items // (deaths + 1)
        until(partial(_has_done, stack, run_id, wanted), otherwise=lambda: stack.told(run_id))
        for pid in worker_pids(stack.project):
            if random.random() < 0.5:
                os.kill(pid, signal.SIGKILL)

    run = stack.finished(run_id)
    weight = 3 * items * (items - 1) // 2
    assert stack.client.run(run_id)["output"] == {"basket": {"weight": weight, "counted": items}}
    assert run.count(StepCompleted) == 4
    children = stack.client.children(run_id, "pick")
    assert [child["firstItem"] for child in children] == list(range(0, items, BATCH))
    assert meant(stack.client, f"{run_id}/pick/17") == children[17 // BATCH]["runId"]
    picked = [check_run(stack.backend, child["runId"]) for child in children]
    assert {each.count(StepCompleted) for each in picked} == {1}
    assert sum(each.count(StepCheckpoint) for each in picked) == items
    assert sum(each.count(StepStarted) for each in picked) > len(picked), "no worker died in an item"


def _has_done(stack: Stack, run_id: str, wanted: int) -> bool:
    """Whether so many items are done, as far as the run's own step knows."""
    [pick] = [step.children for step in Details(stack.backend.runtime).steps(run_id) if step.definition.id == "pick"]
    return pick is not None and BATCH * pick.ended >= wanted
