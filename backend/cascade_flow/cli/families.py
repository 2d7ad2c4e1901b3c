"""Steps whose work runs of their own do: their bar, what these runs are asked, and how one is named: `RUN/pack/17`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cascade_flow.cli import event_texts
from cascade_flow.errors import StepNotFoundError
from cascade_flow.model.ids import child_id

if TYPE_CHECKING:
    from cascade_flow.cli.views import Document, StepView
    from cascade_flow.client import Client, Json

_WIDTH = 20
_MOST_NAMED = 3
_MOST_LOOKED_AT = 200
_MOST_LISTED = 20


def meant(client: Client, given: str) -> str:
    """The id of the run that a person means: `RUN`, or further inside `RUN/STEP/ITEM`, of a sub-workflow `RUN/STEP`.

    Raises StepNotFoundError, and all that asking for a run does.
    """
    run, *words = given.split("/")
    rest: Sequence[str] = words
    while rest:
        run, rest = _inside(client, run, rest)
    return run


def _inside(client: Client, run: str, rest: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The run that the first of these words name, and the words after them."""
    steps = {each["stepId"]: each["children"] for each in client.steps(run) if "children" in each}
    named = [length for length in range(1, len(rest) + 1) if "/".join(rest[:length]) in steps]
    if not named:
        known = f"it has {', '.join(steps)}" if steps else "it has none"
        raise StepNotFoundError(f"run {run!r} has no map or sub-workflow {'/'.join(rest)!r}; {known}")
    step, after = "/".join(rest[: named[-1]]), rest[named[-1] :]
    number, after = (0, after) if steps[step]["kind"] == "workflow" else _number(run, step, steps[step], after)
    return child_id(run, step, number), after


def _number(run: str, step: str, children: Document, rest: Sequence[str]) -> tuple[int, Sequence[str]]:
    if not rest or not rest[0].isdecimal():
        raise StepNotFoundError(f"step {step!r} is a map: name one of its items, as in {run}/{step}/0")
    number, items = int(rest[0]), children.get("items")
    if items is not None and number >= items:
        there = f"{items:,} items, up to {run}/{step}/{items - 1}" if items else "no items"
        raise StepNotFoundError(f"step {step!r} has {there}: there is no {number:,}")
    return number // int(children["batch"]), rest[1:]


def looked_into(client: Client, document: Document) -> Document:
    """What is known of a run, with what its maps' runs tell: how many are tried again, and which have failed."""
    if not any("children" in step for step in document.get("steps") or ()):
        return document
    run_id = document["run"]["runId"]
    return {**document, "steps": [_looked_into(client, run_id, step) for step in document["steps"]]}


def _looked_into(client: Client, run_id: str, step: Document) -> Document:
    told = step.get("children")
    if told is None or told["kind"] != "map" or step["status"] not in ("running", "completed"):
        return step
    return {**step, "children": {**told, **_more(client, run_id, step, told)}}


def _more(client: Client, run_id: str, step: Document, told: Document) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if told.get("begun", 0) > told.get("ended", 0):
        going_on = client.children(run_id, step["stepId"], status=["running"], most=_MOST_LOOKED_AT)
        more["retrying"] = sum(child.get("isRetrying", False) for child in going_on)
    if told.get("failedItems") or (step["status"] == "completed" and told["tolerate"]):
        more["failures"] = client.children(run_id, step["stepId"], status=["failed"], most=_MOST_NAMED + 1)
    return more


def worth_a_look(client: Client, run_id: str, step: Document) -> list[Json]:
    """Of the runs that do a step's work those that have failed, and those that go on; a few of many."""
    if "children" not in step or step["status"] == "pending":
        return []
    wanted = (("failed", "cancelled"), ("running", "pending"))
    found = [client.children(run_id, step["stepId"], status=status, most=_MOST_LISTED) for status in wanted]
    return [child for some in found for child in some]


@dataclass(frozen=True)
class Counts:
    """How a map's items stand."""

    done: int
    failed: int
    running: int
    retrying: int
    waiting: int

    @classmethod
    def of(cls, children: Mapping[str, Any]) -> Counts | None:
        """None where nobody knows yet, or any more."""
        if "items" not in children:
            return None
        items, batch = children["items"], children.get("batch", 1)
        ended, begun = min(items, children["ended"] * batch), min(items, children["begun"] * batch)
        failed, retrying = min(children["failedItems"], ended), min(children.get("retrying", 0) * batch, begun - ended)
        return cls(ended - failed, failed, begun - ended - retrying, retrying, items - begun)

    @property
    def items(self) -> int:
        return self.done + self.failed + self.running + self.retrying + self.waiting


def said(step: StepView) -> str:
    """How it stands with the runs that do a step's work, while it waits for them."""
    children = children_of(step)
    if children.get("kind") == "workflow":
        return f"runs {children['workflowSlug']}: cascade show {step.run_id}/{step.id}"
    counts = Counts.of(children)
    return "" if counts is None else f"{bar(counts)} {_words(counts)}"


def declared(children: Document) -> str:
    """What a workflow says of a step whose work runs of their own do."""
    if children["kind"] == "workflow":
        return f"runs {children['workflowSlug']}"
    batch = f", {children['batch']} in a row" if children["batch"] > 1 else ""
    tolerated = f", {children['tolerate']:.3g} of them may fail" if children["tolerate"] else ""
    return f"for each of {children['over']}, {children['concurrency']} at once{batch}{tolerated}"


def children_of(step: StepView) -> Document:
    """How it stands with the runs that do the step's work; nothing where it does that itself."""
    found: Document = step.document.get("children") or {}
    return found


def is_tried(step: StepView) -> bool:
    """Whether it is tried as its policy says: where runs of its own do the work, that is said of these."""
    return not children_of(step)


def tenths(step: StepView) -> int:
    """How many tenths of a map's items are over."""
    counts = Counts.of(children_of(step))
    return 0 if counts is None else 10 * (counts.done + counts.failed) // max(1, counts.items)


def bar(counts: Counts, width: int = _WIDTH) -> str:
    """A line of so many places: full for what is done, crossed for what failed, shaded for what goes on."""
    parts = [(counts.done, "█"), (counts.failed, "✗"), (counts.running, "▓"), (counts.retrying, "▒")]
    drawn, upto, places = "", 0, 0
    for count, sign in parts:
        upto += count
        whole = width * upto // max(1, counts.items)
        places = max(whole, min(width, places + (count > 0 and sign != "█")))
        drawn += sign * (places - len(drawn))
    return drawn.ljust(width, "░")


def _words(counts: Counts) -> str:
    parts = [(counts.running, "running"), (counts.retrying, "retrying"), (counts.failed, "failed")]
    told = [f"{count:,} {word}" for count, word in [*parts, (counts.waiting, "waiting")] if count]
    return ", ".join([f"{counts.done:,} of {counts.items:,} done", *told])


def failures(step: StepView) -> str:
    """The items that have failed, by number, each with why; nothing where none has, as far as is known."""
    failed = (children_of(step)).get("failures") or ()
    named = [_named(child, children_of(step)) for child in failed[:_MOST_NAMED]]
    return "; ".join([*named, *(["and more"] if len(failed) > _MOST_NAMED else [])])


def _named(child: Document, children: Document) -> str:
    first, batch = child["firstItem"], children.get("batch", 1)
    which = f"item {first}" if batch == 1 else f"items {first} to {first + batch - 1}"
    return f"{which}: {event_texts.error_text(child.get('error'))}"
