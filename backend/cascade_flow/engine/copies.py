"""New runs out of old ones (protocol.md §9): which steps are kept, and the branches that a copy begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

from cascade_flow.engine.advance import birth, schedule
from cascade_flow.engine.event_writer import EventWriter
from cascade_flow.engine.joins import is_full
from cascade_flow.engine.runs import Opening, Submission, new_run, write_start
from cascade_flow.engine.state import Birth, Branch, Facts, Run
from cascade_flow.graph import END, Graph, is_event
from cascade_flow.model.events import WorkflowRerunFromStep, WorkflowResumed
from cascade_flow.records import replace

Kept = Mapping[str, str | None]
"""The steps that are kept: None for one that completed, the step that began the skip for one that was skipped."""

Link = WorkflowRerunFromStep | WorkflowResumed


def kept_steps(graph: Graph, over: Kept, *, again: str | None = None) -> Kept:
    """Of the steps that are over those whose dependencies are all kept too; not the one that shall run `again`."""
    kept: dict[str, str | None] = {}
    order = TopologicalSorter({id: step.dependencies for id, step in graph.steps.items()}).static_order()
    for step in order:
        if step in over and step != again and kept.keys() >= set(graph.step(step).dependencies):
            kept[step] = over[step]
    return kept


def open_copy(
    facts: Facts,
    order: Submission,
    parent: Run,
    link: type[Link],
    fields: Mapping[str, Any],
    *,
    now_us: int,
    after_us: int,
) -> Opening:
    """A run that goes on from copied events, later than the newest of them; it owes all its branches."""
    writer = EventWriter.of_run(facts, now_us=now_us, after_us=after_us)
    run = replace(new_run(facts, order, writer), parent=parent.run_id, origin_run_id=parent.first_run_id)
    writer.write(link, **fields)
    started = write_start(writer, run, has_schema=order.has_input_schema, has_input=order.input is not None)
    running = replace(run, status="running", started_at_us=started.timestamp_us, last_us=writer.last_us)
    return Opening(replace(running, owed=0, due_us=now_us + facts.timing.grace_us), tuple(writer.events))


def branches(facts: Facts, kept: Kept, *, now_us: int, after_us: int) -> list[Birth]:
    """The branches of a copy: first what is at rest or waits, then what is live, or about to be, and may meet it."""
    found = [_branch(facts, name, kept, now_us, after_us) for name in facts.graph.branches]
    births = [birth for birth in [*found, _end(facts, kept, now_us, after_us)] if birth is not None]
    return sorted(births, key=lambda birth: birth.branch.live or is_full(facts.graph, birth.branch))


def _branch(facts: Facts, name: str, kept: Kept, now_us: int, after_us: int) -> Birth | None:
    chain = facts.graph.chain(name)
    over = [step for step in chain if step in kept]
    if not over:
        return _beginning(facts, name, kept, now_us, after_us)
    skipped = {step: origin for step in over if (origin := kept[step]) is not None}
    branch = replace(_new(facts, name, over[-1], now_us, after_us), skipped=skipped)
    if len(over) == len(chain):
        return Birth(replace(branch, due_us=None))
    return _going_on(facts, branch, chain[len(over)], skipped.get(over[-1]), now_us)


def _going_on(facts: Facts, branch: Branch, step: str, origin: str | None, now_us: int) -> Birth:
    if origin is not None and facts.graph.step(step).skip_cascades:
        return Birth(replace(branch, status="skipping", step=step, skipped={**branch.skipped, step: origin}))
    writer = EventWriter.of(facts, branch, now_us=now_us)
    return Birth(schedule(facts, branch, step, writer), tuple(writer.events))


def _beginning(facts: Facts, name: str, kept: Kept, now_us: int, after_us: int) -> Birth | None:
    dependencies = facts.graph.step(name).dependencies
    if len(dependencies) > 1 or is_event(facts.graph, name):
        return _open(facts, name, dependencies, kept, now_us, after_us)
    if not kept.keys() >= set(dependencies):
        return None
    origin = kept[dependencies[0]] if dependencies else None
    return birth(facts, name, origin=origin, now_us=now_us, after_us=after_us)


def _end(facts: Facts, kept: Kept, now_us: int, after_us: int) -> Birth | None:
    sinks = facts.graph.sinks
    return _open(facts, END, sinks, kept, now_us, after_us) if len(sinks) > 1 else None


def _open(facts: Facts, name: str, awaited: Sequence[str], kept: Kept, now_us: int, after_us: int) -> Birth | None:
    arrived = sum(step in kept for step in awaited)
    branch = replace(_new(facts, name, name, now_us, after_us), status="open", arrived=arrived, last_us=0)
    return Birth(branch) if arrived or not awaited else None


def _new(facts: Facts, name: str, step: str, now_us: int, after_us: int) -> Branch:
    due_us = now_us + facts.timing.grace_us
    return Branch(name, "ended", step, priority=facts.priority, last_us=after_us, due_us=due_us)
