"""Children: made, looked at, and counted when they end (protocol.md §14). What is decided is `engine/children`.

Nothing here is needed for a promise to hold but that an end is counted before it is written: a step that waits for its
children is in the due index, and the sweep looks at it as whoever ends one of them does.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from cascade_flow import clock
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.dynamodb.family_ledger import FamilyLedger
from cascade_flow.engine import children as rules
from cascade_flow.engine.families import definition_of, family_of
from cascade_flow.engine.state import Branch, Commit, Facts, Family, Run
from cascade_flow.errors import CascadeFlowError
from cascade_flow.model.events import StepError
from cascade_flow.operations.births import Births, Following
from cascade_flow.operations.failed_items import SHOWN, error_of
from cascade_flow.operations.runtime import Runtime

_ROUNDS = 20
_log = logging.getLogger(__name__)


class Children:
    """The children of the runs in one table."""

    def __init__(self, runtime: Runtime, follow: Following) -> None:
        self._runtime = runtime
        self._follow = follow
        self._ledger = FamilyLedger(runtime.ledger.table)
        self._births = Births(runtime, follow)

    def count_end(self, facts: Facts) -> Branch | None:
        """Count the end of a child, before it is written: whoever dies after it has counted nothing. Answers its
        parent's step as it is then.
        """
        assert facts.up is not None, f"{facts.run_id} is nobody's child"
        return self._ledger.raise_parent(facts.up, look_us=clock.now_us() + self._runtime.timing.silence_us)

    def look_up(self, facts: Facts, seen: Branch | None, *, failed: bool) -> None:
        """After a child's end look at its parent's step, where that may move it; where its run is being stopped, go on
        with that. What led here stands whatever comes of the look, which a sweep takes too.
        """
        if facts.up is None or seen is None:
            return
        try:
            if seen.halt is not None or seen.status == "failed":
                self._follow.stops.carry_on(facts.up.run_id, again=False)
            elif failed or rules.is_worth_a_look(seen):
                self.look(facts.up.run_id, facts.up.branch, is_urgent=failed)
        except CascadeFlowError as error:
            _log.warning("run %s: a look at its parent is left to the sweep: %s", facts.run_id, error)

    def look(self, run_id: str, name: str, *, is_urgent: bool = True, puts_off: bool = False) -> bool:
        """Look at a step that waits for its children, and do what can be done; answers whether that was anything.

        Who is refused looks again. Without urgency a step all of whose children are made is left alone until its
        counter is full; who `puts_off` notes that nobody need look until a child ends.
        """
        moved = False
        for _ in range(_ROUNDS):
            read = self._runtime.ledger.snapshot([(run_id, name)])
            run, step = read.run(run_id), read.branch(run_id, name)
            if run is None or step is None or not _waits(step) or not (is_urgent or _may_move(step)):
                return moved
            if step.run_attempt != run.run_attempt:
                continue
            try:
                again = self._look(self._runtime.facts(run), run, step, puts_off=puts_off)
            except BranchRefused:
                continue
            except RunRefused:  # it is being stopped, and its stop halts this step
                return moved
            moved = moved or again is not None
            if not again:
                return moved
        return moved

    def _look(self, facts: Facts, run: Run, step: Branch, *, puts_off: bool) -> bool | None:
        """What one look brings: None where that is nothing, else whether to look again at once."""
        definition = definition_of(facts, step)
        children = self._ledger.children(facts, step.step, rules.numbers_in(family_of(step).out))
        now = rules.seen(facts, step, children, definition.batch)
        family = family_of(now)
        if family.lost > rules.tolerated(family, definition):
            return self._write(facts, rules.failed(facts, step, now, _error(family, children), now_us=clock.now_us()))
        if family.made == family.children and not family.out:
            return self._write(facts, rules.collecting(facts, step, now, now_us=clock.now_us()))
        if rules.places_left(family):
            return self._release(facts, run, step, now)
        if puts_off and (later := rules.put_off(facts, now, now_us=clock.now_us())) is not None:
            self._ledger.put_off(facts, step, later)
            return False
        return None

    def _write(self, facts: Facts, commit: Commit) -> bool:
        branch = self._runtime.ledger.write(facts, commit, {})
        self._runtime.observer.committed(commit.said)
        self._follow.after(facts, commit, branch)
        return False

    def _release(self, facts: Facts, run: Run, step: Branch, now: Branch) -> bool:
        """Make children while there are places; answers whether those that were passed over call for another look."""
        passed = 0
        while rules.places_left(family_of(now)):
            release = rules.release(facts, now, self._found(facts, now), now_us=clock.now_us())
            made = self._births.children(facts, run, release)
            step = now = self._ledger.release(facts, step, release.after, made, passed=release.passed)
            self._births.follow(made)
            passed += release.passed
        return passed > 0

    def _found(self, facts: Facts, step: Branch) -> Mapping[int, Run]:
        """In the run's first attempt nobody is there yet."""
        if facts.run_attempt == 1:
            return {}
        return self._ledger.children(facts, step.step, rules.next_numbers(family_of(step)))


def _waits(step: Branch) -> bool:
    return step.status == "waiting" and step.halt is None


def _may_move(step: Branch) -> bool:
    family = step.family
    return family is not None and (family.made < family.children or step.arrived >= family.children)


def _error(family: Family, children: Mapping[int, Run]) -> StepError:
    """What is told of a step whose children have failed; of a workflow's run, its own error."""
    failed = [child for child in children.values() if child.status in ("failed", "cancelled")]
    if family.version is not None:
        return error_of(failed[0]) if failed else StepError(name="ChildFailed", message="its run has failed")
    named = "; ".join(_named(family, child) for child in failed[:SHOWN])
    count = f"{family.lost:,} of {family.items:,} items failed"
    return StepError(name="ItemsFailed", message=f"{count}: {named}" if named else count)


def _named(family: Family, child: Run) -> str:
    """A child that has failed, by its item where it does one alone; a batch names its own."""
    error, is_alone = error_of(child), family.items == family.children and child.up is not None
    whose = f"item {child.up.number}" if is_alone and child.up is not None else child.run_id
    return f"{error.message}" if child.lost is not None else f"{whose}: {error.name}: {error.message}"
