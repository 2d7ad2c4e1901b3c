"""What a test names in a run: a step, an item of a map (`pack/17`), a step of a sub-workflow (`refunds/charge`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cascade_flow.authoring import Workflow
from cascade_flow.authoring.maps import Items
from cascade_flow.authoring.parameters import Names
from cascade_flow.authoring.steps import Reference, Step
from cascade_flow.errors import DefinitionError
from cascade_flow.model.ids import CHILD_MARK, up_of

Workflows = Mapping[str, Workflow]
"""Those that are known, by slug."""


@dataclass(frozen=True)
class Spot:
    """A step, by the way that leads to it: through the sub-workflows that it lies in. Of a map, it may be one item."""

    way: str
    item: int | None = None

    def __str__(self) -> str:
        return self.way if self.item is None else f"{self.way}/{self.item}"

    def is_within(self, step_id: str) -> bool:
        """Whether it is this step, or in the workflow that this one runs."""
        return self.way == step_id or self.way.startswith(f"{step_id}/")

    def is_at(self, other: Spot) -> bool:
        """Whether it is this one; a map as a whole stands for each of its items."""
        return self.way == other.way and self.item in (None, other.item)


def spot_meant(workflow: Workflow, reference: Reference, known: Workflows) -> tuple[Spot, Step]:
    """The spot that is meant, and its step. Raises DefinitionError, naming what it could have been."""
    steps = workflow.definition().codes
    names = Names({step_id: step.function for step_id, step in steps.items()})
    try:
        step = steps[names.meant(reference)]
        return Spot(step.id), step
    except DefinitionError:
        head, _, rest = reference.rpartition("/") if isinstance(reference, str) else ("", "", "")
        if head and rest.isdecimal():
            spot, step = spot_meant(workflow, head, known)
            if not isinstance(step.children, Items):
                raise DefinitionError(f"step {step.id!r} is no map: it has no item {rest}") from None
            return Spot(spot.way, int(rest)), step
        for step_id in sorted(steps, key=len, reverse=True):
            inner = steps[step_id].definition.children
            if inner and inner.workflow and isinstance(reference, str) and reference.startswith(f"{step_id}/"):
                spot, step = spot_meant(known_by(known, inner.workflow), reference[len(step_id) + 1 :], known)
                return Spot(f"{step_id}/{spot.way}", spot.item), step
        raise


def known_by(known: Workflows, slug: str) -> Workflow:
    """Raises DefinitionError where a test has not said which workflow has this slug."""
    if slug not in known:
        raise DefinitionError(
            f"workflow {slug!r} is run by another and not known here: tell the engine of it, with engine.know(...)"
        )
    return known[slug]


def root_of(run_id: str) -> str:
    """The run that nobody's step has begun."""
    return run_id.partition(CHILD_MARK)[0]


def way_to(run_id: str, step_id: str, *, is_item: bool) -> str:
    """The way to a step of a run; that to a map's item leads to the map."""
    ways = [] if is_item else [step_id]
    while (up := up_of(run_id)) is not None:
        run_id, step, _ = up
        ways.insert(0, step)
    return "/".join(ways)
