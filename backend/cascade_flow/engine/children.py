"""Children: the runs that do a step's work, and what becomes of that step when somebody looks (protocol.md §14). Pure.

The step hands its items out and waits; its children's ends are counted, which is a hint; who looks reads the children
that may not be over, and decides. What is decided is written under the step's `seq` as it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import floor

from cascade_flow.engine.commands import Fail
from cascade_flow.engine.decide import judged, schedule_again
from cascade_flow.engine.event_writer import EventWriter
from cascade_flow.engine.families import family_of
from cascade_flow.engine.state import ENDED, Branch, Commit, Facts, Family, Run
from cascade_flow.engine.waits import line_of
from cascade_flow.model.events import LogEntry, StepError
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.records import dataclass, replace

MADE_AT_ONCE = 10
"""Children that one transaction makes: each is a run and a branch, or a run and a commit; with their parent's 21."""
READ_AT_ONCE = 100
"""Children of an earlier attempt that one look passes over at the most: what one request reads."""


@dataclass(frozen=True)
class Release:
    """The children to be made next, by number: new ones, and those of an earlier attempt to be tried again; how many
    need not, since they have completed; and the step as it is then.
    """

    after: Branch
    born: tuple[int, ...]
    again: tuple[Run, ...]
    passed: int


def seen(facts: Facts, waiting: Branch, children: Mapping[int, Run], batch: int) -> Branch:
    """The step after a look at all of its children that may not be over: what is found over is not read again.

    What the step tells next is later than their ends.
    """
    family = family_of(waiting)
    over = {number: child for number, child in children.items() if _is_over(facts, child)}
    out = _ranges(number for number in numbers_in(family.out) if number not in over)
    lost = family.lost + sum(items_lost(family, child, batch) for child in over.values())
    last_us = max([waiting.last_us, *(child.last_us for child in over.values())])
    return replace(waiting, family=replace(family, out=out, lost=lost), last_us=last_us)


def failed(facts: Facts, waiting: Branch, now: Branch, error: StepError, *, now_us: int) -> Commit:
    """The step fails for good, and its run with it; `now` is what a look has made of it."""
    writer = EventWriter.of(facts, now, now_us=now_us)
    command = Fail(error, "execution-error", max(0, now_us - waiting.last_us), retryable=False)
    return replace(judged(facts, now, command, writer), before=waiting)


def collecting(facts: Facts, waiting: Branch, now: Branch, *, now_us: int) -> Commit:
    """All children are over: an attempt is scheduled that collects what they gave, which no policy counts."""
    writer = EventWriter.of(facts, now, now_us=now_us)
    said = line_of(f"{_number_of(family_of(now).children, 'run')} over")
    writer.write(LogEntry, step_id=now.step, stream="stdout", message=said, attempt_number=now.attempt)
    ready = replace(now.untried, due_us=now_us + facts.timing.grace_us)
    again = schedule_again(facts, ready, writer, available_at_us=now_us, retry_delay_ms=0, logged=False)
    return replace(again, before=waiting)


def places_left(family: Family) -> int:
    """How many children may be released now."""
    return max(0, min(family.at_once - out_of(family), family.children - family.made))


def next_numbers(family: Family) -> range:
    """The children that a release may come to."""
    return range(family.made, min(family.made + READ_AT_ONCE, family.children))


def release(facts: Facts, now: Branch, found: Mapping[int, Run], *, now_us: int) -> Release:
    """The next children, as many as may be out. `found` are those of an earlier attempt among the next numbers."""
    family = family_of(now)
    born, again, passed, made = list[int](), list[Run](), 0, family.made
    places = min(places_left(family), MADE_AT_ONCE)
    for number in next_numbers(family):
        child = found.get(number)
        if child is not None and child.status == "completed":
            passed += 1
        elif len(born) + len(again) == places:
            break
        elif child is None:
            born.append(number)
        else:
            again.append(child)
        made = number + 1
    numbers = sorted([*born, *(child.up.number for child in again if child.up is not None)])
    out = _ranges([*numbers_in(family.out), *numbers])
    after = replace(now, family=replace(family, made=made, out=out), due_us=_look_us(facts, now, now_us))
    return Release(after, tuple(born), tuple(again), passed)


def put_off(facts: Facts, now: Branch, *, now_us: int) -> Branch | None:
    """The step when nothing is left to do but to wait, until the run's deadline, which may be over where its stop was
    not carried on yet; None where its counter tells of ends that nobody has found.
    """
    if now.arrived > ends(family_of(now)):
        return None
    return replace(now, due_us=max(facts.deadline_us, now_us + facts.timing.grace_us))


def ends(family: Family) -> int:
    """How many children are over, as far as it is known."""
    return family.made - out_of(family)


def out_of(family: Family) -> int:
    """How many children may not be over."""
    return sum(last - first + 1 for first, last in family.out)


def is_worth_a_look(parent: Branch) -> bool:
    """Whether the counter says that children may be released, or that all may be over. Where few are out each end is
    looked at, so that the last is; where many are, every few ends are, so that releases are of many.
    """
    family = parent.family
    if family is None or family.made == family.children:
        return family is not None
    out = family.made - parent.arrived
    few = max(1, min(MADE_AT_ONCE, family.at_once // 2))
    free = family.at_once - out
    return out < few or (free >= few and free % few == 0)


def tolerated(family: Family, definition: ChildrenDefinition) -> int:
    """How many items may fail."""
    return floor(definition.tolerate * family.items + 1e-9)


def items_of(family: Family, number: int, batch: int) -> range:
    """Which items a child does."""
    return range(number * batch, min((number + 1) * batch, family.items))


def items_lost(family: Family, child: Run, batch: int) -> int:
    """How many items of a child that is over have failed."""
    if child.status == "completed" or child.up is None:
        return 0
    return len(items_of(family, child.up.number, batch)) if child.lost is None else child.lost


def numbers_in(ranges: Iterable[tuple[int, int]]) -> list[int]:
    """The numbers in these ranges, each from its first to its last."""
    return [number for first, last in ranges for number in range(first, last + 1)]


def _is_over(facts: Facts, child: Run) -> bool:
    """Whether a child has ended for good, or in this attempt: an earlier one's end is none."""
    if child.status not in ENDED:
        return False
    return child.status == "completed" or child.run_attempt >= facts.run_attempt


def _look_us(facts: Facts, waiting: Branch, now_us: int) -> int:
    """Lazily: an entry that a sweep will meet within a lease stays where it is."""
    latest_us = now_us + facts.timing.silence_us
    return waiting.due_us if waiting.due_us is not None and now_us < waiting.due_us <= latest_us else latest_us


def _ranges(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Numbers as ranges."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(found)


def _number_of(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
