"""A graph of steps as lines of text: forks are indented, what follows a join returns to where the fork began.

    check
    ├─ temperature
    ├─ rain
    └─ sky
    chart

A step hangs under its immediate dominator, the last step that every way to it passes. Ids and numbers only: what the
lines look like is `progress`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Dependencies = Mapping[str, Sequence[str]]
Urgency = Callable[[str], int]

WIDEST = 10
"""More branches of one fork than this are not all shown."""
QUIET = 3
"""From this urgency on, nobody needs to see a step where there is little room."""
FEWEST = 3
"""As many branches of a wide fork are shown in any case."""


@dataclass(frozen=True)
class Line:
    """A step behind its indentation, or, where there was no room, several steps in one.

    `below` is the indentation of what more there is to say of the step.
    """

    indent: str
    below: str
    steps: tuple[str, ...]
    folded: bool = False


@dataclass(frozen=True)
class _Place:
    step: str
    own: str
    below: str


def laid_out(dependencies: Dependencies, *, urgency: Urgency) -> list[Line]:
    """Every step on a line, causes above effects; wide forks show their most urgent branches only.

    `dependencies` holds each step, in declared order, with the steps it waits for; `urgency` is 0 for what must be
    seen, and higher the less anybody would miss it.
    """
    children = _dominated(dependencies)
    lines: list[Line] = []
    stack = list(reversed(list(_places(children, dependencies, None, "", urgency))))
    while stack:
        place = stack.pop()
        if isinstance(place, Line):
            lines.append(place)
            continue
        lines.append(Line(place.own, place.below, (place.step,)))
        stack.extend(reversed(list(_places(children, dependencies, place.step, place.below, urgency))))
    return lines


def fitted(lines: Sequence[Line], most: int, *, urgency: Urgency) -> list[Line]:
    """At most this many lines, by folding neighbours that nobody needs to see: the longest stretch first."""
    found = list(lines)
    while len(found) > max(3, most):
        start, end = max(_stretches(found, urgency), key=lambda s: s[1] - s[0], default=(0, 0))
        if end - start < 2:
            return [*found[: most - 1], _folded(found[most - 1 :])]
        surplus = max(2, len(found) - most + 1)
        end = min(end, start + surplus)
        found[start:end] = [_folded(found[start:end])]
    return found


def in_order(dependencies: Dependencies) -> list[str]:
    """The steps with causes before effects, otherwise as declared."""
    done: dict[str, None] = {}
    for step in dependencies:
        stack = [step]
        while stack:
            missing = [each for each in dependencies.get(stack[-1], ()) if each in dependencies and each not in done]
            if missing and stack[-1] not in done:
                stack.extend(reversed(missing))
            else:
                done.setdefault(stack.pop())
    return list(done)


def _dominated(dependencies: Dependencies) -> dict[str | None, list[str]]:
    """Each step under its immediate dominator, None where there is no such step."""
    parent: dict[str, str | None] = {}
    depth: dict[str | None, int] = {None: 0}
    children: defaultdict[str | None, list[str]] = defaultdict(list)
    for step in in_order(dependencies):
        known = [each for each in dependencies[step] if each in parent]
        parent[step] = _meeting(known, parent, depth)
        depth[step] = depth[parent[step]] + 1
        children[parent[step]].append(step)
    return children


def _meeting(steps: Sequence[str], parent: Mapping[str, str | None], depth: Mapping[str | None, int]) -> str | None:
    meeting: str | None = steps[0] if steps else None
    for step in steps[1:]:
        other: str | None = step
        while meeting != other:
            if depth[meeting] >= depth[other]:
                meeting = parent[meeting] if meeting is not None else None
            else:
                other = parent[other] if other is not None else None
    return meeting


def _places(
    children: Mapping[str | None, list[str]], dependencies: Dependencies, step: str | None, below: str, urgency: Urgency
) -> Iterator[_Place | Line]:
    """What stands under a step: its branches, indented where there are several, then what joins them."""
    branches: list[str] = []
    joins: list[str] = []
    for child in children.get(step, ()):
        (branches if set(dependencies[child]) <= {step} else joins).append(child)
    if len(branches) == 1:
        yield _Place(branches[0], below, below)
    elif branches:
        yield from _forked(children, branches, below, urgency)
    yield from (_Place(join, below, below) for join in joins)


def _forked(
    children: Mapping[str | None, list[str]], branches: list[str], below: str, urgency: Urgency
) -> Iterator[_Place | Line]:
    of_branch = {branch: _subtree(children, branch) for branch in branches}
    shown = _most_urgent(of_branch, urgency) if len(branches) > WIDEST else branches
    hidden = tuple(step for branch in branches if branch not in set(shown) for step in of_branch[branch])
    last = None if hidden else shown[-1]
    for branch in shown:
        corner, beside = ("└─ ", "   ") if branch == last else ("├─ ", "│  ")
        yield _Place(branch, below + corner, below + beside)
    if hidden:
        yield Line(below + "└─ ", below + "   ", hidden, folded=True)


def _most_urgent(of_branch: Mapping[str, Sequence[str]], urgency: Urgency) -> list[str]:
    """The branches that must be seen, as far as there is room, or a few; in declared order."""
    urgent = {branch: min(map(urgency, steps)) for branch, steps in of_branch.items()}
    wanted = max(FEWEST, sum(each < QUIET for each in urgent.values()))
    chosen = set(sorted(urgent, key=lambda branch: urgent[branch])[: min(wanted, WIDEST - 1)])
    return [branch for branch in of_branch if branch in chosen]


def _subtree(children: Mapping[str | None, list[str]], root: str) -> list[str]:
    found = [root]
    for step in found:
        found.extend(children.get(step, ()))
    return found


def _stretches(lines: Sequence[Line], urgency: Urgency) -> Iterator[tuple[int, int]]:
    start = 0
    for index, line in enumerate([*lines, None]):
        if line is None or min(map(urgency, line.steps)) < QUIET:
            if index > start:
                yield start, index
            start = index + 1


def _folded(lines: Iterable[Line]) -> Line:
    lines = list(lines)
    indent = min((line.indent for line in lines), key=len)
    return Line(indent, indent, tuple(step for line in lines for step in line.steps), folded=True)
