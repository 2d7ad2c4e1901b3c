"""What a map's body is given: its parent's input, and in the place of what the map goes over its own item of that."""

from __future__ import annotations

import json
from collections.abc import Mapping

from cascade_flow.engine.state import Run
from cascade_flow.errors import ArgumentInvalidError, PayloadLostError
from cascade_flow.model.parts import ValidationIssue
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.operations.outputs import Inputs
from cascade_flow.operations.payloads import Handed
from cascade_flow.operations.runtime import Runtime

_PARENTS_KEPT = 8
_LONGEST_KEPT = 1_000_000


def inputs_of_item(runtime: Runtime, child: Run, item: str | None) -> Inputs:
    """The inputs of a map's child, whose own input is its item: as if the body depended on what the map goes over."""
    assert child.up is not None, f"{child.run_id} is nobody's child"
    over = declared_of(runtime, child).over or ""
    return Inputs(input_of_parent(runtime, child.up.run_id), {over: item})


def handed_to_item(runtime: Runtime, child: Run) -> tuple[Handed, Mapping[str, Handed]]:
    """The same for a worker elsewhere."""
    assert child.up is not None, f"{child.run_id} is nobody's child"
    over, parent = declared_of(runtime, child).over or "", _parent_of(runtime, child.up.run_id)
    handed = [runtime.payloads.handed_on(run.run_id, {"": run.tail[0]}, "input")[""] for run in (parent, child)]
    return handed[0], {over: handed[1]}


def check_batch(runtime: Runtime, child: Run, output: str) -> None:
    """Whether a batch's output (JSON text) has a result for each of its items: others would get the wrong ones.

    Raises ArgumentInvalidError.
    """
    if declared_of(runtime, child).batch == 1:
        return
    items = json.loads(runtime.payloads.whole(child.run_id, child.tail[:1])[0]["input"])
    results = json.loads(output)
    if not isinstance(results, list) or len(results) != len(items):
        wanted = f"a list of {len(items):,} results, in the order of the items that run {child.run_id!r} does"
        raise ArgumentInvalidError(issues=[ValidationIssue(path="output", message=wanted)])


def declared_of(runtime: Runtime, child: Run) -> ChildrenDefinition:
    """The map whose body a child does."""
    assert child.up is not None, f"{child.run_id} is nobody's child"
    definition = runtime.registry.graph(child.workflow_slug, child.version_id).step(child.up.step).children
    assert definition is not None, f"{child.up.step} is no map"
    return definition


def input_of_parent(runtime: Runtime, run_id: str) -> str | None:
    """A parent's input, which never changes: one read a process, if it isn't vast."""
    if run_id in runtime.kept_inputs:
        return runtime.kept_inputs[run_id]
    parent = _parent_of(runtime, run_id)
    text: str | None = runtime.payloads.whole(run_id, parent.tail[:1])[0].get("input")
    if len(text or "") <= _LONGEST_KEPT:
        _keep(runtime.kept_inputs, run_id, text)
    return text


def _parent_of(runtime: Runtime, run_id: str) -> Run:
    parent = runtime.ledger.run(run_id)
    if parent is None:
        raise PayloadLostError(f"run {run_id!r}, whose work this is, is there no more")
    return parent


def _keep(kept: dict[str, str | None], run_id: str, text: str | None) -> None:
    while len(kept) >= _PARENTS_KEPT:
        kept.pop(next(iter(kept)), None)
    kept[run_id] = text
