"""Sub-workflows that have undone themselves: what is final with them, and what a new run does anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cascade_flow.engine.state import Run
from cascade_flow.model.ids import CHILD_MARK, child_id
from cascade_flow.operations.runtime import Runtime


def undone_in(runtime: Runtime, run: Run) -> frozenset[str]:
    """The steps of a run that had done something that was to be undone since, whatever became of that."""
    undo = None if run.undone_by is None else runtime.run(run.undone_by)
    return frozenset() if undo is None or undo.undoing is None else frozenset(undo.undoing.steps)


def undone_below(runtime: Runtime, run: Run, anew: str) -> Mapping[str, str]:
    """The same of the runs of its sub-workflows, to any depth: each step by the way to it, with the run that does it
    anew where the run `anew` goes on from this one.
    """
    found: dict[str, str] = {}
    for step, child in _runs_of_steps(runtime, run):
        own = child_id(anew, step, 0)
        inside = {**undone_below(runtime, child, own), **dict.fromkeys(undone_in(runtime, child), own)}
        found |= {f"{step}{CHILD_MARK}{way}": by for way, by in inside.items()}
    return found


def renewed_below(renewed: Mapping[str, str], step: str) -> Mapping[str, str]:
    """What a step's own run is to know of what is done anew."""
    before = f"{step}{CHILD_MARK}"
    return {way.removeprefix(before): by for way, by in renewed.items() if way.startswith(before)}


def _runs_of_steps(runtime: Runtime, run: Run) -> Iterator[tuple[str, Run]]:
    if run.driver == "caller":
        return
    for step in runtime.graph_of(run).steps.values():
        if step.children is not None and step.children.kind == "workflow":
            child = runtime.ledger.run(child_id(run.run_id, step.id, 0))
            if child is not None:
                yield step.id, child
