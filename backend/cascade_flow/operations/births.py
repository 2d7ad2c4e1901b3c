"""How children are born, and tried again: what a release writes of each, and what follows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from cascade_flow import clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.codec import to_record
from cascade_flow.dynamodb.family_ledger import Child
from cascade_flow.engine.children import Release
from cascade_flow.engine.limits import key_values
from cascade_flow.engine.runs import Submission, started_again, submit
from cascade_flow.engine.state import Birth, Branch, Commit, Facts, Run, Up, is_urgent
from cascade_flow.errors import GraphInvalidError
from cascade_flow.graph import Graph, body_of
from cascade_flow.model.ids import child_id
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.operations.items_aside import ItemsAside
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.stops import Stops
from cascade_flow.operations.told import Told
from cascade_flow.records import replace
from cascade_flow.wake import Wake


class Following(Protocol):
    """Who does what a commit leaves to be done (`AfterCommit`): children are part of that, and ask for it."""

    @property
    def stops(self) -> Stops: ...

    def after(self, facts: Facts, commit: Commit, branch: Branch) -> Branch: ...

    def begin_all(self, begun: Sequence[tuple[Facts, Iterable[Birth], Told | None]]) -> None: ...

    def make_owed_roots(self, facts: Facts, run: Run) -> Run: ...


class Births:
    """Prepares children, and lets them begin."""

    def __init__(self, runtime: Runtime, follow: Following) -> None:
        self._runtime = runtime
        self._follow = follow
        self._items = ItemsAside(runtime)

    def children(self, facts: Facts, run: Run, release: Release) -> list[Child]:
        """What a release writes, new ones first."""
        step = release.after
        definition = facts.graph.step(step.step).children
        assert definition is not None, f"{step.step} has no children"
        texts = self._items.texts(facts, step, release.born, batch=definition.batch)
        born = [self._born(facts, run, step, definition, number, text) for number, text in texts.items()]
        return [*born, *(self._again(facts, step, child) for child in release.again)]

    def follow(self, made: Sequence[Child]) -> None:
        """Wake who is to begin, and who lets go on what was stopped. Whoever dies before leaves it to the sweep."""
        self._follow.begin_all([(child.facts, child.opening.births, _told_of(child)) for child in made])
        again = [child.facts for child in made if child.before is not None]
        if again:
            self._runtime.queue.send([Wake(each.run_id, urgent=is_urgent(each.priority)) for each in again])
        for child in made:
            if child.before is None and child.opening.run.owed is not None:
                self._follow.make_owed_roots(child.facts, child.opening.run)

    def _born(
        self, facts: Facts, run: Run, step: Branch, definition: ChildrenDefinition, number: int, text: str
    ) -> Child:
        """A new child, with all that its parent has for it: time, retention, priority."""
        slug, version, graph = self._code(facts, run, step, definition)
        up = Up(facts.run_id, step.name, step.step, number, is_item=definition.kind == "map")
        values = facts.limit_keys if up.is_item else key_values(graph.declared.values(), text)
        own_id = child_id(facts.run_id, step.step, number)
        child = replace(facts, run_id=own_id, workflow_slug=slug, graph=graph, up=up)
        child = replace(child, limit_keys=values, limit=None, place=None)
        references = self._put_input(child, text)
        now_us = max(clock.now_us(), step.last_us + 1)
        opening = submit(child, self._order(child, version, text, now_us), now_us=now_us)
        first = child_id(run.first_run_of(step.step), step.step, number)
        own = replace(opening.run, origin_run_id=None if first == child.run_id else first)
        return Child(child, replace(opening, run=replace(own, renewed=_renewed(run, step.step))), references)

    def _code(self, facts: Facts, run: Run, step: Branch, definition: ChildrenDefinition) -> tuple[str, str, Graph]:
        """Which workflow a child runs, in which version, and what of it."""
        if definition.kind == "map":
            return run.workflow_slug, run.version_id, body_of(facts.graph, step.step)
        version = None if step.family is None else step.family.version
        if definition.workflow is None or version is None:
            raise GraphInvalidError(f"step {step.step!r} runs no workflow")
        return definition.workflow, version, self._runtime.registry.graph(definition.workflow, version)

    def _order(self, child: Facts, version: str, text: str, now_us: int) -> Submission:
        is_map = child.up is not None and child.up.is_item
        metadata = None if is_map else self._runtime.registry.metadata(child.workflow_slug)
        return Submission(
            version_id=version,
            available_at_us=now_us,
            has_input_schema=metadata is not None and metadata.input_schema_json is not None,
            input=text,
            priority=child.priority or 0,
        )

    def _put_input(self, child: Facts, text: str) -> dict[str, str]:
        """Aside where it is long, under a name that follows from the child's: making it again changes nothing."""
        key = keys.run_payload(child.run_id, "input")
        return self._runtime.payloads.put_aside(key, text, expires_s=child.expires_s)

    def _again(self, facts: Facts, step: Branch, child: Run) -> Child:
        """One that has ended in an earlier attempt of its parent's run, begun again in this one."""
        known = replace(self._runtime.facts(child), run_attempt=facts.run_attempt, deadline_us=facts.deadline_us)
        branches = self._runtime.ledger.branches(child.run_id).values()
        retried = [branch.step for branch in branches if branch.status == "failed" or branch.halt]
        opening = started_again(known, child, retried, None, now_us=max(clock.now_us(), step.last_us + 1))
        fresh = replace(opening.run, result=None, result_place=None, lost=None)
        return Child(known, replace(opening, run=fresh), {}, before=child)


def _renewed(run: Run, step: str) -> Mapping[str, str]:
    """What a step's own run does anew that an earlier one had done, and that was undone."""
    if not run.renewed:
        return {}
    from cascade_flow.operations.undone_below import renewed_below  # noqa: PLC0415  (few runs repair what was undone)

    return renewed_below(run.renewed, step)


def _told_of(child: Child) -> Told | None:
    """What those need who are woken for a new child; of one that begins again more is to be read."""
    if child.before is not None:
        return None
    records = [to_record(event, child.references) for event in child.opening.events]
    return Told(replace(child.opening.run, tail=tuple(records)), {})
