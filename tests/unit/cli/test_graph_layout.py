"""A graph as lines: every step once, causes above effects, forks indented, and as many lines as there is room."""

from hypothesis import given, strategies as st

from cascade_flow.cli.graph_layout import Dependencies, Line, fitted, in_order, laid_out


def calm(_: str) -> int:
    return 5


def drawn(lines: list[Line]) -> list[str]:
    return [f"{line.indent}{len(line.steps)} more" if line.folded else line.indent + line.steps[0] for line in lines]


def test_forks_are_indented_and_joins_are_not() -> None:
    graph = {
        "read": [],
        "check": ["read"],
        "temperature": ["check"],
        "rain": ["check"],
        "wettest": ["rain"],
        "chart": ["temperature", "wettest"],
        "summary": ["check", "rain"],
    }
    assert drawn(laid_out(graph, urgency=calm)) == [
        "read",
        "check",
        "├─ temperature",
        "└─ rain",
        "   wettest",
        "chart",
        "summary",
    ]


def test_forks_nest() -> None:
    graph = {"a": [], "f": ["a"], "g": ["a"], "h": ["f"], "i": ["f"], "j": ["h", "i"], "k": ["j", "g"]}
    expected = ["a", "├─ f", "│  ├─ h", "│  └─ i", "│  j", "└─ g", "k"]
    assert drawn(laid_out(graph, urgency=calm)) == expected


def test_steps_may_be_declared_in_any_order() -> None:
    assert in_order({"c": ["b"], "b": ["a"], "a": []}) == ["a", "b", "c"]


def test_a_wide_fork_shows_its_most_urgent_branches_in_their_order() -> None:
    graph: Dependencies = {
        "split": [],
        **{f"p{n}": ["split"] for n in range(100)},
        "join": [f"p{n}" for n in range(100)],
    }
    few = drawn(laid_out(graph, urgency=lambda step: 0 if step in ("p50", "p71") else 5))
    assert few == ["split", "├─ p0", "├─ p50", "├─ p71", "└─ 97 more", "join"]
    many = drawn(laid_out(graph, urgency=lambda step: 5 if step in ("p0", "p1", "split", "join") else 1))
    assert many == ["split", *(f"├─ p{n}" for n in range(2, 11)), "└─ 91 more", "join"]


def test_a_long_chain_is_folded_around_what_is_urgent() -> None:
    graph = {f"s{n}": [f"s{n - 1}"] if n else [] for n in range(50)}

    def urgency(step: str) -> int:
        return 0 if step == "s30" else 5

    lines = fitted(laid_out(graph, urgency=urgency), 8, urgency=urgency)
    assert drawn(lines)[:3] == ["30 more", "s30", "14 more"]
    assert len(lines) == 8


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    size = draw(st.integers(1, 30))
    earlier = [draw(st.sets(st.integers(0, n - 1), max_size=3)) if n else set() for n in range(size)]
    return {f"s{n}": [f"s{m}" for m in sorted(found)] for n, found in enumerate(earlier)}


@given(graphs(), st.integers(3, 12))
def test_every_step_is_on_one_line_below_what_it_waits_for(graph: dict[str, list[str]], most: int) -> None:
    lines = laid_out(graph, urgency=calm)
    place = {step: number for number, line in enumerate(lines) for step in line.steps}
    assert sorted(place) == sorted(graph)
    assert sum(len(line.steps) for line in lines) == len(graph)
    if not any(line.folded for line in lines):
        assert all(place[before] < place[step] for step in graph for before in graph[step])
    narrow = fitted(lines, most, urgency=calm)
    assert len(narrow) <= max(3, most)
    assert sorted(step for line in narrow for step in line.steps) == sorted(graph)


def test_a_deep_graph_needs_no_deep_stack() -> None:
    graph: dict[str, list[str]] = {"s0": []}
    for n in range(2_000):
        graph |= {f"a{n}": [f"s{n}"], f"b{n}": [f"s{n}"], f"s{n + 1}": [f"a{n}", f"b{n}"]}
    assert len(laid_out(graph, urgency=calm)) == len(graph)
