"""What a diagnosis says of a step whose work runs of their own do: how many are over, and which of them holds it up."""

from __future__ import annotations

from collections.abc import Sequence

from cascade_flow.engine.children import ends
from cascade_flow.engine.findings import ORDER, Finding
from cascade_flow.engine.state import Branch, Run
from cascade_flow.records import replace


def waits_for_children(branch: Branch, known: Sequence[tuple[Run, Finding]]) -> Finding:
    """How it stands with the runs that a step waits for, and with the one of those known that is worst off."""
    found = min(known, key=lambda each: ORDER.index(each[1].severity), default=None)
    said = f"`{branch.step}` waits for {_what(branch)}"
    if found is None:
        return Finding("waits-for-children", "well", said, step_id=branch.step)
    child, finding = found
    told = f"{said}; {_which(branch, child)}: {finding.sentence}"
    return replace(finding, code="waits-for-children", sentence=told, step_id=branch.step)


def _what(branch: Branch) -> str:
    family = branch.family
    assert family is not None, f"{branch.step} waits for nobody"
    if family.version is not None:
        return "its workflow's run"
    runs = "items" if family.items == family.children else f"runs of {family.items:,} items in all"
    over = max(branch.arrived, ends(family))
    return f"its {runs}: {min(over, family.children):,} of {family.children:,} are over"


def _which(branch: Branch, child: Run) -> str:
    is_item = branch.family is not None and branch.family.items == branch.family.children
    if child.up is None or not child.up.is_item or not is_item:
        return child.run_id
    return f"item {child.up.number} ({child.run_id})"
