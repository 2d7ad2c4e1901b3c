"""What is undone: the outputs that the steps of a run are given that undoes another, out of that one's partition."""

from __future__ import annotations

from collections.abc import Mapping

from cascade_flow.dynamodb.codec import Record
from cascade_flow.dynamodb.undoing import completion
from cascade_flow.engine.state import Run
from cascade_flow.engine.undoing import Undoing
from cascade_flow.errors import PayloadLostError
from cascade_flow.operations.runtime import Runtime


def end_undone(runtime: Runtime, run: Run, undoing: Undoing, step: str) -> Mapping[str, Record]:
    """How the step ended, in the run that is undone, that is undone by this step. Raises PayloadLostError."""
    graph = runtime.registry.graph(run.workflow_slug, run.version_id)
    done = next(each for each in undoing.done if graph.undos[each.step].id == step)
    if done.in_part:
        return {done.step: {"output": _given_in_part(runtime, undoing.run_id, done.step)}}
    told = completion(runtime.ledger.table, undoing.run_id, graph.branch_of(done.step), done)
    if told is None:
        lost = f"run {undoing.run_id!r} no longer tells what its step {done.step!r} has given"
        raise PayloadLostError(f"{lost}, so {step!r} can't undo it: undo it by hand, and cancel run {run.run_id!r}")
    return {done.step: told}


def _given_in_part(runtime: Runtime, run_id: str, step: str) -> str:
    """What those items of a map have given that had completed when its run ended, in order, as JSON text."""
    from cascade_flow.operations.expansion import Expansion  # noqa: PLC0415  (few runs undo a map, fewer half a map)

    facts = runtime.facts(runtime.run(run_id))
    branch = runtime.ledger.branch(run_id, facts.graph.branch_of(step))
    return "[]" if branch is None else Expansion(runtime).completed(facts, branch)


def outputs_undone(runtime: Runtime, run: Run, undoing: Undoing, step: str) -> Mapping[str, str | None]:
    """The output that a step is to undo, by the step that has given it."""
    ended = end_undone(runtime, run, undoing, step)
    whole = runtime.payloads.whole(undoing.run_id, list(ended.values()))
    return {name: record.get("output") for name, record in zip(ended, whole, strict=True)}
