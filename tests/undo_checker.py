"""What is promised of undoing: what a run has done that failed or was cancelled is undone by one run, born at its end.

A part of `checker`, which calls it for every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cascade_flow import Event, StepCompleted, StepScheduled, StepSkipped
from cascade_flow.backend import Backend
from cascade_flow.engine.state import Run
from cascade_flow.engine.undo import TAG
from cascade_flow.engine.undoing import Undoing

if TYPE_CHECKING:
    from checker import Checked


def check_undo(backend: Backend, checked: Checked) -> None:
    """Assert that a run is undone if it has to be, once, and that one that undoes another does it in its order."""
    run = checked.story.run
    if not checked.facts.graph.undos and run.undone_by is None and run.undoing is None:
        return
    _is_undone_once(backend, checked, run)
    if run.undoing is not None:
        _undoes(backend, checked, run, run.undoing)


def _is_undone_once(backend: Backend, checked: Checked, run: Run) -> None:
    todo = _last_first(checked, checked.story.events) if run.status in ("failed", "cancelled") else []
    undone_by = [each.run_id for each in _runs(backend) if each.undoing and each.undoing.run_id == run.run_id]
    assert undone_by == ([run.undone_by] if run.undone_by else []), f"undone by {undone_by}, says {run}"
    assert bool(undone_by) == bool(todo), f"{todo} is to be undone, by {undone_by}"
    if run.undone_by is not None:
        born = backend.runtime.run(run.undone_by)
        assert born.undoing is not None
        assert list(born.undoing.steps) == todo, f"{born.undoing} undoes {todo}"
        assert run.completed_at_us is not None
        assert born.created_us > run.completed_at_us, "what undoes it is older than its end"


def _last_first(checked: Checked, events: Sequence[Event]) -> list[str]:
    """The completed steps that can be undone, the last one first; before them maps that were still under way."""
    done = [event.step_id for event in events if isinstance(event, StepCompleted)]
    families = [branch for branch in checked.story.branches.values() if branch.family and not branch.family.version]
    in_part = sorted((branch.step for branch in families if branch.step not in done), reverse=True)
    return [step for step in (*in_part, *reversed(done)) if step in checked.facts.graph.undos]


def _runs(backend: Backend) -> list[Run]:
    """Every run that undoes another, as stored."""
    return backend.runtime.ledger.runs([each.run_id for each in backend.list_runs(tags=[TAG]).runs])


def _undoes(backend: Backend, checked: Checked, run: Run, undoing: Undoing) -> None:
    undone = backend.runtime.run(undoing.run_id)
    assert undone.undone_by == run.run_id, f"{run} undoes {undone}"
    assert (run.expires_s, run.undone_by) == (undone.expires_s, None)
    assert set(run.tags) == {*undone.tags, TAG}
    graph = backend.runtime.registry.graph(run.workflow_slug, run.version_id)
    todo = [graph.undos[step].id for step in undoing.steps]
    over = [event.step_id for event in checked.story.events if isinstance(event, StepCompleted | StepSkipped)]
    assert over == (todo if run.status == "completed" else todo[: len(over)]), f"undone in another order: {over}"
    begun = dict.fromkeys(event.step_id for event in checked.story.events if isinstance(event, StepScheduled))
    assert list(begun) == todo[: len(begun)], f"begun before its turn: {begun}"
