"""When a join may open, and what it becomes (protocol.md §6). The counter is a hint; the branches decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cascade_flow.engine.advance import schedule
from cascade_flow.engine.event_writer import EventWriter
from cascade_flow.engine.state import Branch, Commit, Facts
from cascade_flow.graph import END, Graph, is_event
from cascade_flow.records import replace

OVER: frozenset[str] = frozenset({"ended", "parked"})


def awaited_branches(graph: Graph, join: str) -> tuple[str, ...]:
    """The branches that a join waits for, each once."""
    return tuple(dict.fromkeys(graph.branch_of(step) for step in graph.awaited(join)))


def is_full(graph: Graph, join: Branch) -> bool:
    """Whether the counter says that a look at the branches is worth while."""
    return join.status == "open" and join.arrived >= len(graph.awaited(join.name))


def one_to_ask(graph: Graph, join: Branch, branches: Mapping[str, Branch]) -> Branch | None:
    """Of those that a full join still waits for, the one that is to look when it arrives; None where one looks anyway.

    Who is at work may have been counted before the join was full. Who isn't there, or is not at work, is counted after
    that, or looks in any case (`Commit.looked_at`).
    """
    if not is_full(graph, join):
        return None
    awaited = ((branches.get(graph.branch_of(step)), step) for step in graph.awaited(join.name))
    late = [branch for branch, step in awaited if not beyond(graph, branch, step)]
    if any(branch is None or branch.status != "running" or branch.looks for branch in late):
        return None
    return next(iter(late), None)


def waits_outside(graph: Graph, branch: Branch) -> bool:
    """Whether a branch is an event's, which is not over."""
    return branch.status == "open" and is_event(graph, branch.name)


def all_arrived(graph: Graph, join: str, branches: Mapping[str, Branch]) -> bool:
    """Whether every branch that the join waits for stands beyond its dependency."""
    return all(beyond(graph, branches.get(graph.branch_of(step)), step) for step in graph.awaited(join))


def beyond(graph: Graph, branch: Branch | None, step: str) -> bool:
    """Whether a branch has a step of its own behind it."""
    return branch is not None and graph.position(step) < steps_over(graph, branch)


def reached(graph: Graph, branch: Branch | None, step: str) -> bool:
    """Whether a step of a branch was scheduled, or skipped in cascade: the branch stands at it or beyond."""
    if branch is None or branch.status in ("open", "skipping"):
        return False
    return graph.position(step) <= graph.position(branch.step)


def steps_over(graph: Graph, branch: Branch) -> int:
    """How many of a branch's steps are over (completed or skipped)."""
    return graph.position(branch.step) + (branch.status in OVER)


def completed_steps(graph: Graph, branches: Iterable[Branch]) -> int:
    """How many steps of a run have completed, skipped ones left out."""
    return sum(len(_over(graph, branch) - set(branch.skipped)) for branch in branches if branch.name != END)


def open_join(facts: Facts, join: Branch, branches: Mapping[str, Branch], *, now_us: int) -> Commit | None:
    """Move a join from open to scheduled (or to be skipped); None while something it waits for is still to come.

    An event goes on when the outside has spoken, or its time is over.
    """
    if not all_arrived(facts.graph, join.name, branches):
        return None
    ready = replace(
        join,
        run_attempt=facts.run_attempt,
        last_us=max([facts.started_at_us, join.last_us, *(branch.last_us for branch in branches.values())]),
        priority=facts.priority,
    )
    writer = EventWriter.of(facts, ready, now_us=now_us)
    origin = _skip_origin(facts.graph, join.name, branches)
    if origin is not None and facts.graph.step(join.name).skip_cascades:
        spent = join.signal and join.signal.spent
        skipping = replace(ready, status="skipping", skipped={join.name: origin}, signal=spent, patience=None)
        return Commit(join, skipping, checks_run=True)
    if is_event(facts.graph, join.name):
        from cascade_flow.engine.outside import looked_at  # noqa: PLC0415  (most workflows have no events)

        return looked_at(facts, join, ready, now_us=now_us)
    return Commit(join, schedule(facts, ready, join.name, writer), tuple(writer.events), checks_run=True)


def _over(graph: Graph, branch: Branch) -> set[str]:
    return set(graph.chain(branch.name)[: steps_over(graph, branch)])


def _skip_origin(graph: Graph, join: str, branches: Mapping[str, Branch]) -> str | None:
    origins = (branches[graph.branch_of(step)].skipped.get(step) for step in graph.awaited(join))
    return next((origin for origin in origins if origin is not None), None)
