"""How a graph is cut into branches, who follows whom, and what is told of steps that are no graph."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import GraphInvalidError, StepDefinition, StepNotFoundError
from cascade_flow.graph import END, Graph, body_of, each_with_undo, graph_issues, too_late, undo_graph
from cascade_flow.model.workflows import ChildrenDefinition, EventDefinition, RetryTier, StepLimit, UndoDefinition


def step(id: str, *dependencies: str, export_output: bool = False) -> StepDefinition:
    return StepDefinition(id=id, name=id, dependencies=list(dependencies), export_output=export_output)


def having(id: str, **declared: Any) -> StepDefinition:
    return step(id).model_copy(update=declared)


def undo(id: str, **declared: Any) -> UndoDefinition:
    return UndoDefinition(id=id, name=id, **declared)


LIMIT = StepLimit(name="hotel", at_most=1)
RUNS, NOTHING = ChildrenDefinition(kind="workflow", workflow="inner"), ChildrenDefinition(kind="workflow")
MAPS = ChildrenDefinition(kind="map", over="x")
WOOD = [
    step("a"),
    step("b", "a"),
    step("c", "a", export_output=True),
    step("d", "b"),
    step("e", "c", "d"),
    step("f", "a"),
]


def test_a_branch_goes_on_with_the_first_that_waits_for_nothing_else() -> None:
    graph = Graph(WOOD)
    assert graph.branches == ("a", "c", "e", "f")
    assert [graph.chain(branch) for branch in graph.branches] == [("a", "b", "d"), ("c",), ("e",), ("f",)]
    assert [graph.branch_of(id) for id in "abcdef"] == ["a", "a", "c", "a", "e", "f"]
    assert [graph.position(id) for id in "abd"] == [0, 1, 2]
    assert [graph.next_in_branch(id) for id in "abcdef"] == ["b", "d", None, None, None, None]


def test_a_branch_goes_on_past_a_join_that_is_named_first() -> None:
    graph = Graph([step("a"), step("x"), step("j", "a", "x"), step("b", "a"), step("c", "a")])
    assert [graph.chain(branch) for branch in graph.branches] == [("a", "b"), ("x",), ("j",), ("c",)]
    assert (graph.next_in_branch("a"), graph.joins("a"), graph.forks("a")) == ("b", ("j",), ("c",))


def test_who_begins_and_who_arrives_where_a_step_is_over() -> None:
    graph = Graph(WOOD)
    assert {id: graph.forks(id) for id in "abcdef"} == {"a": ("c", "f"), "b": (), "c": (), "d": (), "e": (), "f": ()}
    assert {id: graph.joins(id) for id in "abcd"} == {"a": (), "b": (), "c": ("e",), "d": ("e",)}
    assert {id: graph.joins(id) for id in "ef"} == {"e": (END,), "f": (END,)}
    assert graph.awaited("e") == ("c", "d")
    assert graph.awaited(END) == ("e", "f")


def test_where_it_begins_and_ends() -> None:
    graph = Graph(WOOD)
    assert (graph.roots, graph.sinks, graph.exports) == (("a",), ("e", "f"), ("c",))
    assert [graph.is_last(id) for id in "def"] == [False, False, False]


def test_a_single_sink_is_the_runs_last_step_and_arrives_nowhere() -> None:
    graph = Graph(WOOD[:5])
    assert [graph.is_last(id) for id in "abcde"] == [False] * 4 + [True]
    assert graph.joins("e") == ()


def test_a_map_is_one_step_of_its_run_and_another_of_each_item() -> None:
    """What holds for the step among others is its run's; how it is done, the items'; what undoes it, neither's."""
    undo = UndoDefinition(id="undo-m", name="undo-m")
    children = ChildrenDefinition(kind="map", over="a", batch=3)
    declared = {"children": children, "undo": undo, "skip_cascades": False, "timeout_ms": 5, "executor": "gpu"}
    graph = Graph([step("a"), step("m", "a", export_output=True).model_copy(update=declared)])
    mine, [items] = graph.step("m"), body_of(graph, "m").steps.values()
    assert (mine.dependencies, mine.skip_cascades, mine.export_output) == (["a"], False, True)
    assert (mine.timeout_ms, mine.executor, mine.undo, graph.undos) == (None, None, None, {"m": undo})
    assert (items.dependencies, items.timeout_ms, items.executor, items.export_output) == ([], 15, "gpu", True)
    assert (items.children, items.undo, body_of(graph, "m").undos) == (None, None, {})


def test_of_two_maps_each_has_items_of_its_own() -> None:
    """Items wait for nothing; what they share and how long after what their map begins is theirs, not the map's."""
    tried = {"limit": LIMIT, "delay_ms": 7, "retry": [RetryTier(max_attempts=9)], "poll_every_ms": 8}
    maps = [
        having(id, dependencies=["x"], children=MAPS.model_copy(update={"batch": n}), **tried)
        for n, id in enumerate("mn", 1)
    ]
    graph = Graph([step("x"), *maps, step("after", "m")])
    assert [graph.chain(branch) for branch in graph.branches] == [("x", "m", "after"), ("n",)]
    for n, id in enumerate("mn", 1):
        [item] = body_of(graph, id).steps.values()
        assert (item.id, item.limit, item.delay_ms, item.retry[0].max_attempts) == (id, LIMIT, 7, 9)
        assert (item.poll_every_ms, item.timeout_ms, item.export_output) == (8, None, True)
        mine = graph.step(id)
        assert (mine.limit, mine.delay_ms, mine.poll_every_ms, mine.retry) == (None, None, None, [RetryTier()])
        assert (mine.children and mine.children.batch) == n


def test_what_undoes_steps_is_one_branch_in_the_order_that_was_asked_for() -> None:
    """Each is tried as it is declared, and one that has nothing to do holds up no other."""
    declared = undo("u", timeout_ms=5, limit=LIMIT, retry=[RetryTier(max_attempts=9)])
    steps = having("a", undo=declared), having("b", undo=undo("v", executor="gpu")), having("c", undo=undo("w"))
    graph = undo_graph(Graph(steps), ("c", "a", "b"))
    assert [graph.chain(branch) for branch in graph.branches] == [("w", "u", "v")]
    assert not any(each.skip_cascades for each in graph.steps.values())
    first = graph.step("u")
    assert (first.timeout_ms, first.limit, first.retry, graph.step("v").executor) == (5, LIMIT, declared.retry, "gpu")
    assert [each.id for each in each_with_undo(steps)] == ["a", "u", "b", "v", "c", "w"]


def test_an_event_always_begins_a_branch_and_is_a_join_of_whatever_it_waits_for() -> None:
    event = EventDefinition()
    graph = Graph(
        [having("r", event=event), step("a", "r"), having("e", dependencies=["a"], event=event), step("b", "a")]
    )
    assert [graph.chain(branch) for branch in graph.branches] == [("r", "a", "b"), ("e",)]
    assert (graph.roots, graph.joins("a"), graph.forks("a"), graph.awaited("e")) == (("r",), ("e",), (), ("a",))


def test_a_join_waits_for_all_that_it_names_in_their_order() -> None:
    graph = Graph([step("a"), step("b"), step("c"), step("d"), step("j", "c", "a", "d", "b")])
    assert graph.awaited("j") == ("c", "a", "d", "b")


def test_times_have_a_residue_for_each_branch_the_run_and_all_others() -> None:
    graph = Graph(WOOD)
    assert graph.modulus == 6
    assert [graph.residue(branch) for branch in (END, "a", "c", "e", "f")] == [0, 1, 2, 3, 4]


def test_a_step_that_is_not_there_is_named_beside_those_that_are() -> None:
    for ask in (Graph(WOOD).step, Graph(WOOD).branch_of):
        with pytest.raises(StepNotFoundError, match=r"'z' is not in this graph; its steps are a, b, c, d, e, f"):
            ask("z")


@pytest.mark.parametrize(
    ("steps", "path", "words"),
    [
        ([], "steps", "at least one step"),
        ([step("a"), step("a")], "steps", "'a' is used 2 times"),
        ([step(END)], "steps.0.id", "the engine's own"),
        ([step("a"), step("b", "z")], "steps.1.dependencies", "depends on 'z', which is no step"),
        ([step("a"), step("b", "a", "a")], "steps.1.dependencies", "its dependency 'a' 2 times"),
        ([step("a", "b"), step("b", "a")], "steps", "in a circle: "),
        ([step("a", "a")], "steps", "in a circle: a → a; remove one"),
        ([step("y"), step("x"), having("a", dependencies=["y"], children=MAPS)], "steps.2.children", "map over 'x'"),
        ([step("a", "c"), step("b", "a"), step("c", "b")], "steps", "in a circle: a → c → b → a; remove one"),
        ([step("x"), having("a", limit=LIMIT, executor="gpu")], "steps.1.limit", "a limit and an executor"),
        ([step("x"), having("a", undo=undo("x"))], "steps.1.undo", "undo id 'x' of step 'a' is taken"),
        ([step("x"), having("a", undo=undo(END))], "steps.1.undo", "is taken"),
        ([step("x"), having("a", undo=undo("u", limit=LIMIT, executor="gpu"))], "steps.1.undo", "undo 'u' has a limit"),
        ([step("x"), having("a", event=EventDefinition(), undo=undo("u"))], "steps.1.undo", "event 'a' has an undo"),
        ([step("x"), having("a", event=EventDefinition(), children=RUNS)], "steps.1.children", "waits for the outside"),
        ([step("x"), having("a", children=MAPS)], "steps.1.children", "a map over 'x', which it does not depend on"),
        ([step("x"), having("a", children=NOTHING)], "steps.1.children", "does not say which"),
    ],
)
def test_what_is_no_graph_is_told_with_its_place(steps: list[StepDefinition], path: str, words: str) -> None:
    [issue] = graph_issues(steps)
    assert issue.path == path
    assert words in issue.message
    with pytest.raises(GraphInvalidError, match=words) as refused:
        Graph(steps)
    assert refused.value.issues == [issue]


def test_all_mistakes_are_told_at_once_and_a_circle_only_where_nothing_else_is_wrong() -> None:
    issues = graph_issues([step("a", "z"), step("b", "c"), step("c", "b"), step("c", "y")])
    assert [issue.path for issue in issues] == ["steps", "steps.0.dependencies", "steps.3.dependencies"]
    assert [issue.path for issue in graph_issues([step("a", "z"), step("b", "c"), step("c", "b")])] == [
        "steps.0.dependencies"
    ]
    with pytest.raises(GraphInvalidError) as refused:
        Graph([step("a", "z"), step("b", "c"), step("c", "b"), step("c", "y")])
    assert refused.value.issues == issues
    assert str(refused.value) == "; ".join(issue.message for issue in issues)


def test_a_graph_has_no_issues() -> None:
    assert graph_issues(WOOD) == []


@pytest.mark.parametrize(
    ("steps", "paths"),
    [
        ([having("a", undo=undo("u")), having("b", undo=undo("u"))], ["steps.0.undo", "steps.1.undo"]),
        ([having("a", undo=undo("u")), having("b", undo=undo("v"))], []),
        ([having("a", event=EventDefinition(), undo=undo("u", limit=LIMIT, executor="gpu"))], ["steps.0.undo"] * 2),
        ([having("a", limit=LIMIT), having("b", executor="gpu"), having("c", undo=undo("u", limit=LIMIT))], []),
        ([step("x"), having("a", dependencies=["x"], children=MAPS), having("b", children=RUNS)], []),
    ],
)
def test_what_undoes_and_hands_out_is_looked_at_with_the_steps(steps: list[StepDefinition], paths: list[str]) -> None:
    assert [issue.path for issue in graph_issues(steps)] == paths


@pytest.mark.parametrize(
    ("timeout_ms", "late"),
    [(15, ""), (14, "de"), (11, "de"), (10, "bde"), (6, "bde"), (5, "abcdef")],
)
def test_who_starts_after_the_runs_end_is_known_before(timeout_ms: int, late: str) -> None:
    """The longest way counts, and who would start with the end is too late."""
    delayed = {"a": 5, "b": 5, "d": 4}
    steps = [each.model_copy(update={"delay_ms": delayed.get(each.id)}) for each in WOOD]
    assert "".join(too_late(steps, timeout_ms * 1_000)) == late
    assert too_late(WOOD, 0) == {}


@pytest.mark.parametrize("timeout_ms", [10, 6, 5])
def test_of_who_starts_too_late_it_is_told_when_and_how_long_the_run_may_last(timeout_ms: int) -> None:
    steps = [having("a", delay_ms=5), having("b", dependencies=["a"], delay_ms=5)]
    said = f"0:00:00.010000 after the run at the earliest, and a run may last 0:00:00.0{timeout_ms:02}000:"
    assert said in too_late(steps, timeout_ms * 1_000)["b"]
