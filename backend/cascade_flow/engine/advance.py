"""What follows when a branch's step is over (protocol.md §6): going on, forks, arrivals at joins, the run's end.

A skip runs on along the branch for as long as the next step gives way to it; all that is one commit.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from cascade_flow.engine.event_writer import EventWriter
from cascade_flow.engine.limits import limit_of
from cascade_flow.engine.state import Birth, Branch, Claimant, Commit, Facts, Owed
from cascade_flow.engine.waits import look_us
from cascade_flow.graph import Graph, is_event
from cascade_flow.model.events import StepScheduled, StepSkipped
from cascade_flow.records import replace

BIRTHS_AT_ONCE = 22
"""Branches that one transaction puts: with the branch, its commit item and the run it stays within 25 items."""


def advance(facts: Facts, branch: Branch, writer: EventWriter, *, claimant: Claimant | None) -> Commit:
    """The commit of a branch whose step is over; the events that say so are in the writer already."""
    if branch.halt == "park" or facts.stopping:
        return Commit(
            branch,
            replace(branch.released(last_us=writer.last_us), status="parked", due_us=None),
            tuple(writer.events),
            logged=True,
        )
    skipped = dict(branch.skipped)
    over = _skip_along(facts.graph, branch.step, skipped, writer)
    after = replace(branch, step=over[-1], skipped=skipped, owed=_owed(facts.graph, over))
    raises = tuple(join for step in over for join in facts.graph.joins(step))
    after = _go_on(facts, after, writer, claimant)
    births = tuple(islice(births_owed(facts, after, now_us=writer.now_us), BIRTHS_AT_ONCE))
    after = _soon_if_owed(facts, owed_after(facts.graph, after, len(births)), writer.now_us)
    return Commit(branch, after, tuple(writer.events), bool(raises or births), births, raises)


def _soon_if_owed(facts: Facts, branch: Branch, now_us: int) -> Branch:
    """However long its next step waits, what a branch owes is looked for soon."""
    soon_us = now_us + facts.timing.grace_us
    is_late = branch.owed is not None and (branch.due_us or 0) > soon_us and branch.status == "scheduled"
    return replace(branch, due_us=soon_us) if is_late else branch


def births_owed(facts: Facts, parent: Branch, *, now_us: int) -> Iterable[Birth]:
    """The branches that a parent still owes, in order."""
    if parent.owed is None:
        return
    heads = [(head, step) for step in parent.owed.steps for head in facts.graph.forks(step)]
    for head, step in heads[parent.owed.made :]:
        yield birth(facts, head, origin=parent.skipped.get(step), now_us=now_us, after_us=parent.last_us)


def owed_after(graph: Graph, parent: Branch, made: int) -> Branch:
    """The parent when so many more of the branches that it owes are made; an ended one that owes nothing is at rest."""
    if parent.owed is None:
        left = None
    else:
        heads = sum(len(graph.forks(step)) for step in parent.owed.steps)
        paid = parent.owed.made + made
        left = Owed(parent.owed.steps, paid) if paid < heads else None
    at_rest = parent.status == "ended" and left is None
    return replace(parent, owed=left, due_us=None if at_rest else parent.due_us)


def birth(facts: Facts, head: str, *, origin: str | None, now_us: int, after_us: int) -> Birth:
    """A new branch, scheduled; or to be skipped, where its dependency was (`origin`) and its first step gives way."""
    branch = Branch(name=head, status="scheduled", step=head, run_attempt=facts.run_attempt, priority=facts.priority)
    branch = replace(branch, last_us=after_us, due_us=now_us + facts.timing.grace_us)
    if is_event(facts.graph, head):
        return Birth(replace(branch, status="open"))
    if origin is not None and facts.graph.step(head).skip_cascades:
        return Birth(replace(branch, status="skipping", skipped={head: origin}))
    writer = EventWriter.of(facts, branch, now_us=now_us)
    return Birth(schedule(facts, branch, head, writer), tuple(writer.events))


def schedule(facts: Facts, branch: Branch, step: str, writer: EventWriter) -> Branch:
    """The branch with this step scheduled for now, or for as much later as it declares; its first attempt."""
    definition = facts.graph.step(step)
    initial = not definition.dependencies
    event = writer.write(
        StepScheduled,
        step_id=step,
        available_at_us=writer.now_us + (definition.delay_ms or 0) * 1_000,
        reason="initial" if initial else "dependency-satisfied",
        attempt_number=1,
        priority=branch.priority,
    )
    scheduled = replace(
        branch.released(last_us=writer.last_us),
        status="scheduled",
        step=step,
        attempt=1,
        attempts_before=None,
        laters=None,
        later_since_us=None,
        available_at_us=event.available_at_us,
        pool=definition.executor,
        limit=limit_of(definition, facts.limit_keys),
        family=None,
    )
    return replace(scheduled, due_us=look_us(scheduled, facts.timing)) if definition.delay_ms else scheduled


def skip_origin(step: str, origin: str, writer: EventWriter) -> None:
    """Write that a step is skipped because the step `origin` was."""
    reason = f"skipped because {origin} was skipped"
    writer.write(
        StepSkipped,
        step_id=step,
        skip_type="cascade",
        reason=reason,
        duration_us=0,
        attempt_number=1,
        cascaded_from=origin,
    )


def _skip_along(graph: Graph, step: str, skipped: dict[str, str], writer: EventWriter) -> list[str]:
    """The steps of the branch that are over with this one: itself, and those that give way to its skip."""
    over = [step]
    while over[-1] in skipped and (following := graph.next_in_branch(over[-1])):
        if not graph.step(following).skip_cascades:
            break
        skipped[following] = skipped[over[-1]]
        skip_origin(following, skipped[following], writer)
        over.append(following)
    return over


def _go_on(facts: Facts, branch: Branch, writer: EventWriter, claimant: Claimant | None) -> Branch:
    following = facts.graph.next_in_branch(branch.step)
    if following is None:
        return replace(branch.released(last_us=writer.last_us), status="ended", pool=None, limit=None)
    if branch.pool is not None and facts.graph.step(following).executor is None:
        # A claim for a pool has moved the next look a lease ahead.
        branch = replace(branch, due_us=writer.now_us + facts.timing.grace_us)
    scheduled = schedule(facts, branch, following, writer)
    is_delayed = (scheduled.available_at_us or 0) > writer.now_us
    if claimant is None or is_delayed or not _may_start(claimant, scheduled):  # it is not for this worker, or not yet
        return scheduled
    return _start(scheduled, claimant, writer)


def _may_start(claimant: Claimant, scheduled: Branch) -> bool:
    """Whether who has ended a step may begin the branch's next one: it is for such workers, and has its place."""
    return claimant.pool == scheduled.pool and (scheduled.limit is None or claimant.place is not None)


def _start(branch: Branch, claimant: Claimant, writer: EventWriter) -> Branch:
    return replace(
        branch,
        status="running",
        started_at_us=writer.last_us + 1,
        worker=claimant.worker,
        lease_us=claimant.lease_us,
        slot_index=claimant.slot_index,
        worker_concurrency=claimant.worker_concurrency,
        place=None if branch.limit is None or branch.limit.per_us is not None else claimant.place,
    )


def _owed(graph: Graph, over: list[str]) -> Owed | None:
    steps = tuple(step for step in over if graph.forks(step))
    return Owed(steps) if steps else None
