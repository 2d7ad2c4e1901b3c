"""What undoes a run that failed or was cancelled (protocol.md §14.7): a run of its own, one step after the other.

Its steps are the undos of what the run has completed, the last completed first. Which they are is known when nothing of
the run is live any more; they are born in the same transaction as its terminal event. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cascade_flow.engine.runs import Opening, Submission, submit
from cascade_flow.engine.state import Facts, Run
from cascade_flow.engine.undoing import Completion, Done, Undoing
from cascade_flow.graph import Graph, undo_graph
from cascade_flow.model.events import WorkflowEvent
from cascade_flow.records import dataclass, replace

TAG = "undo"
"""The tag that a run has that undoes another, beside those of that run."""


@dataclass(frozen=True)
class UndoBirth:
    """A run that undoes another, to be written with that one's end; `references` say where its input lies aside."""

    facts: Facts
    opening: Opening
    references: Mapping[str, str]


def undoing(graph: Graph, run_id: str, completions: Iterable[Completion]) -> Undoing | None:
    """What is to be undone of a run, the last completed first; None where nothing is."""
    last_first = sorted(completions, reverse=True)
    done = tuple(Done(*each[1:]) for each in last_first if each.step in graph.undos)
    return Undoing(run_id, done) if done else None


def undo_run(
    facts: Facts, run: Run, undoing: Undoing, end: WorkflowEvent, *, run_id: str, input: Mapping[str, str]
) -> UndoBirth:
    """The run that undoes another one, which ends with this event. `input` says where that one's lies aside."""
    mine = Facts(
        run_id=run_id,
        workflow_slug=facts.workflow_slug,
        graph=undo_graph(facts.graph, undoing.steps),
        expires_s=facts.expires_s,
        timing=facts.timing,
        priority=facts.priority,
        limit_keys=facts.limit_keys,
        undoes=True,
    )
    born_us = int(end.timestamp_us) + 1
    opening = submit(mine, _submission(run, born_us, input, facts), now_us=born_us)
    deadline_us = min(opening.run.deadline_us, _latest_end_us(facts))
    born = replace(opening.run, undoing=undoing, deadline_us=deadline_us, due_us=deadline_us)
    return UndoBirth(mine, replace(opening, run=born), {place: place for place in input.values()})


def _submission(run: Run, born_us: int, input: Mapping[str, str], facts: Facts) -> Submission:
    """As the run itself was submitted, but for its time: undoing may take as long as any run may that says nothing."""
    submitted = run.tail[0]
    return Submission(
        version_id=run.version_id,
        available_at_us=born_us,
        has_input_schema=submitted["hasInputSchema"],
        input=input.get("input", submitted.get("input")),
        priority=run.priority,
        timeout_us=facts.timing.timeout_us,
        metadata=submitted.get("metadata"),
        tags=(*run.tags, TAG),
    )


def _latest_end_us(facts: Facts) -> int:
    """What is undone is read from what is stored of the run, which expires at its own time: half as long before that
    as a run must be over at the latest.
    """
    return facts.expires_s * 1_000_000 - facts.timing.retention_us // 180
