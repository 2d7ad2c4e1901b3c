"""The graph of a workflow's steps, and how it is cut into branches (protocol.md §2).

Everything here follows from the declared steps alone: no run, no time, no storage. A `Graph` is built once per
version and shared; what a run needs of it (who comes next, who is forked, which joins are reached) are look-ups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property, lru_cache
from graphlib import CycleError, TopologicalSorter

from cascade_flow.errors import GraphInvalidError, StepNotFoundError
from cascade_flow.model.events import ValidationIssue
from cascade_flow.model.workflows import ChildrenDefinition, StepDefinition, UndoDefinition

END = "$"


class Graph:
    """A checked graph: its steps in declared order, cut into branches.

    A step with exactly one dependency continues that dependency's branch where it is the first such successor in
    declared order; every other step begins a branch that is named after it. An event from outside always begins one,
    which is a join: it waits for its dependencies, be they none or one, and for the outside. `undos` is what undoes a
    step, by the step that it undoes. Of a map, `declared` has what holds for each of its items, which is none of this
    graph's business but of its `body_of`.
    """

    def __init__(self, steps: Sequence[StepDefinition]) -> None:
        """Raises GraphInvalidError, naming every mistake, for what is no graph."""
        if issues := graph_issues(steps):
            raise GraphInvalidError("; ".join(issue.message for issue in issues), issues=issues)
        self.undos: Mapping[str, UndoDefinition] = {step.id: step.undo for step in steps if step.undo is not None}
        self.declared: Mapping[str, StepDefinition] = {step.id: step for step in steps}
        self.steps: Mapping[str, StepDefinition] = {step.id: _of_parent(step) for step in steps}
        self.bodies: dict[str, Graph] = {}
        self._successors = _successors(steps)
        self._next = {id: self._continuation(id) for id in self.steps}
        continued = {after for after in self._next.values() if after}
        self._chains = {id: self._chain(id) for id in self.steps if id not in continued}
        self._branch_of = {step: head for head, chain in self._chains.items() for step in chain}
        self._residues = {END: 0, **{head: number for number, head in enumerate(self._chains, start=1)}}

    @property
    def branches(self) -> Sequence[str]:
        """The branches' names, in declared order of their first steps."""
        return tuple(self._chains)

    @property
    def modulus(self) -> int:
        """Event times of branch n are ≡ n modulo this; 0 is the run's, the last residue is for foreign events (§5)."""
        return len(self._chains) + 2

    def residue(self, branch: str) -> int:
        """A branch's; the run's end tells its event as the run does."""
        return self._residues[branch]

    def step(self, step_id: str) -> StepDefinition:
        """Raises StepNotFoundError."""
        if step_id not in self.steps:
            raise StepNotFoundError(f"step {step_id!r} is not in this graph; its steps are {', '.join(self.steps)}")
        return self.steps[step_id]

    def branch_of(self, step_id: str) -> str:
        """The branch that a step belongs to; raises StepNotFoundError."""
        return self._branch_of[self.step(step_id).id]

    def chain(self, branch: str) -> Sequence[str]:
        return self._chains[branch]

    def position(self, step_id: str) -> int:
        """A step's place in its branch, from 0."""
        return self._chains[self._branch_of[step_id]].index(step_id)

    def next_in_branch(self, step_id: str) -> str | None:
        return self._next[step_id]

    def forks(self, step_id: str) -> Sequence[str]:
        """The branches that begin because this step, their only dependency, is over."""
        return tuple(s for s in self._successors[step_id] if self._lone(s) and s != self._next[step_id])

    def joins(self, step_id: str) -> Sequence[str]:
        """The joins that this step arrives at; the run's end is one where the graph has more than one sink."""
        if self._is_sink(step_id):
            return (END,) if len(self.sinks) > 1 else ()
        return tuple(s for s in self._successors[step_id] if not self._lone(s))

    def awaited(self, join: str) -> Sequence[str]:
        """The steps that a join (or the run's end) waits for."""
        return self.sinks if join == END else tuple(self.steps[join].dependencies)

    def is_last(self, step_id: str) -> bool:
        """Whether the run is over with this step: the only sink comes after every other step."""
        return self._is_sink(step_id) and len(self.sinks) == 1

    @cached_property
    def roots(self) -> Sequence[str]:
        return tuple(id for id, step in self.steps.items() if not step.dependencies)

    @cached_property
    def sinks(self) -> Sequence[str]:
        return tuple(id for id in self.steps if not self._successors[id])

    @cached_property
    def exports(self) -> Sequence[str]:
        return tuple(id for id, step in self.steps.items() if step.export_output)

    def _lone(self, step_id: str) -> bool:
        return len(self.steps[step_id].dependencies) == 1 and not is_event(self, step_id)

    def _is_sink(self, step_id: str) -> bool:
        return not self._successors[step_id]

    def _continuation(self, step_id: str) -> str | None:
        return next((s for s in self._successors[step_id] if self._lone(s)), None)

    def _chain(self, head: str) -> tuple[str, ...]:
        chain = [head]
        while after := self._next[chain[-1]]:
            chain.append(after)
        return tuple(chain)


def body_of(graph: Graph, step_id: str) -> Graph:
    """The graph of the runs that do a map's work: one step, which does one item, or a batch of them."""
    if step_id not in graph.bodies:
        graph.bodies[step_id] = Graph([_of_item(graph.declared[graph.step(step_id).id])])
    return graph.bodies[step_id]


def _of_parent(step: StepDefinition) -> StepDefinition:
    """A map as its parent's graph has it: any worker of Lambda's hands the items out, and collects what they gave."""
    if step.children is None:
        return step
    kept = step.model_dump(include={"id", "name", "dependencies", "export_output", "skip_cascades"})
    return StepDefinition(**kept, children=step.children)


def _of_item(step: StepDefinition) -> StepDefinition:
    """A map as its children's graph has it: what is said of how it is tried, for a batch as long as for its items."""
    assert step.children is not None, f"{step.id} is no map"
    long_ms = step.timeout_ms and step.timeout_ms * step.children.batch
    own = {"dependencies": [], "export_output": True, "timeout_ms": long_ms, "children": None, "undo": None}
    return step.model_copy(update=own)


def is_event(graph: Graph, name: str) -> bool:
    """Whether this is a node that waits for the outside, and with it a branch that does; the run's end is none."""
    return name != END and graph.steps[name].event is not None


@lru_cache(maxsize=16)
def undo_graph(graph: Graph, undone: tuple[str, ...]) -> Graph:
    """The graph of a run that undoes these steps of a run of `graph`: one after the other, in this order.

    An undo that says that there is nothing to do is skipped, and the others go on.
    """
    undos = [graph.undos[step] for step in undone]
    before: list[list[str]] = [[], *([undo.id] for undo in undos)]
    return Graph(
        [
            StepDefinition(**dict(undo), dependencies=after, skip_cascades=False)
            for undo, after in zip(undos, before, strict=False)
        ]
    )


def each_with_undo(steps: Iterable[StepDefinition]) -> Iterator[StepDefinition | UndoDefinition]:
    """All that has code of its own and is carried out some time: the steps, and what undoes them."""
    for step in steps:
        yield step
        if step.undo is not None:
            yield step.undo


def graph_issues(steps: Sequence[StepDefinition]) -> list[ValidationIssue]:
    """Everything that keeps these steps from being a graph, each with the path of the field and the cure."""
    ids = Counter(step.id for step in steps)
    undos = Counter(step.undo.id for step in steps if step.undo is not None)
    issues = [] if steps else [_issue("steps", "a workflow needs at least one step")]
    issues += [
        _issue("steps", f"step id {id!r} is used {n} times: rename all but one") for id, n in ids.items() if n > 1
    ]
    issues += [issue for index, step in enumerate(steps) for issue in _dependency_issues(index, step, ids)]
    issues += [issue for index, step in enumerate(steps) for issue in _undo_issues(index, step, ids + undos)]
    return issues or _cycle_issues(steps)


def too_late(steps: Sequence[StepDefinition], timeout_us: int) -> dict[str, str]:
    """The steps that can't start before a run's time is over, for the delays on the way to them, each with what to say.

    Of steps that are a graph.
    """
    if not any(step.delay_ms for step in steps):
        return {}
    known, starts_ms = {step.id: step for step in steps}, dict[str, int]()
    for id in TopologicalSorter({step.id: step.dependencies for step in steps}).static_order():
        before_ms = max((starts_ms[dependency] for dependency in known[id].dependencies), default=0)
        starts_ms[id] = before_ms + (known[id].delay_ms or 0)
    return {id: _too_late(starts_ms[id], timeout_us) for id in known if starts_ms[id] * 1_000 >= timeout_us}


def _too_late(starts_ms: int, timeout_us: int) -> str:
    starts, may_last = timedelta(milliseconds=starts_ms), timedelta(microseconds=timeout_us)
    return (
        f"with its delay, and those of the steps before it, it starts {starts} after the run at the earliest, and a "
        f"run may last {may_last}: shorten the delay, or raise the workflow's timeout"
    )


def _dependency_issues(index: int, step: StepDefinition, ids: Mapping[str, int]) -> Iterable[ValidationIssue]:
    path = f"steps.{index}.dependencies"
    if (children := step.children) is not None:
        yield from _children_issues(f"steps.{index}.children", step, children)
    if step.limit is not None and step.executor is not None:
        yield _issue(f"steps.{index}.limit", f"step {step.id!r} has a limit and an executor: leave one of them out")
    if step.id == END:
        yield _issue(f"steps.{index}.id", f"step id {END!r} is the engine's own: rename the step")
    for dependency, count in Counter(step.dependencies).items():
        if dependency not in ids:
            yield _issue(path, f"step {step.id!r} depends on {dependency!r}, which is no step of this workflow")
        if count > 1:
            yield _issue(path, f"step {step.id!r} names its dependency {dependency!r} {count} times: name it once")


def _undo_issues(index: int, step: StepDefinition, ids: Mapping[str, int]) -> Iterable[ValidationIssue]:
    path, undo = f"steps.{index}.undo", step.undo
    if undo is None:
        return
    if step.event is not None:
        yield _issue(path, f"event {step.id!r} has an undo: nothing of this workflow's has done it; leave the undo out")
    if undo.limit is not None and undo.executor is not None:
        yield _issue(path, f"undo {undo.id!r} has a limit and an executor: leave one of them out")
    if undo.id == END or ids[undo.id] > 1:
        yield _issue(path, f"undo id {undo.id!r} of step {step.id!r} is taken: rename the undo")


def _children_issues(path: str, step: StepDefinition, children: ChildrenDefinition) -> Iterable[ValidationIssue]:
    if step.event is not None:
        yield _issue(path, f"step {step.id!r} waits for the outside and has children: leave one of them out")
    if children.kind == "map" and children.over not in step.dependencies:
        cure = "name the step that gives its items among its dependencies"
        yield _issue(path, f"step {step.id!r} is a map over {children.over!r}, which it does not depend on: {cure}")
    if children.kind == "workflow" and children.workflow is None:
        yield _issue(path, f"step {step.id!r} runs a workflow, and does not say which")


def _cycle_issues(steps: Sequence[StepDefinition]) -> list[ValidationIssue]:
    try:
        TopologicalSorter({step.id: step.dependencies for step in steps}).prepare()
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        return [_issue("steps", f"the steps depend on each other in a circle: {circle}; remove one of these edges")]
    return []


def _successors(steps: Sequence[StepDefinition]) -> dict[str, list[str]]:
    successors: dict[str, list[str]] = {step.id: [] for step in steps}
    for step in steps:
        for dependency in step.dependencies:
            successors[dependency].append(step.id)
    return successors


def _issue(path: str, message: str) -> ValidationIssue:
    return ValidationIssue(path=path, message=message)
