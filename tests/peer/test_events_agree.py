"""Our parser and the peer's schemas accept the same events, and recognize errors by the same fingerprints."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from cascade_flow.errors import EventInvalidError
from cascade_flow.fingerprints import compute_error_fingerprints
from cascade_flow.model.events import Event, StepError, dump_event, parse_event
from peer import assert_peer_accepts
from peer.oracle import Answer, PeerOracle, shared_oracle
from strategies import STEP_EVENTS, WORKFLOW_EVENTS, event_of, events
from tally import TALLY

KINDS = (*STEP_EVENTS, *WORKFLOW_EVENTS)
LEAST = 5_000
"""Mutants at least, of all kinds together."""

JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    1,
    1.0,
    1.5,
    1e16,
    2**53,
    2**60,
    -(2**53),
    10**400,
    "",
    "1",
    "x",
    "٣",
    "1\n",
    [],
    ["x"],
    [1],
    {},
    {"x": None},
    {"message": "m"},
    {"message": "m", "stack": None},
    {"memoryBytes": 1, "cpuTimeUs": None},
]

Path = tuple[str, ...]


def paths(value: dict[str, Any], at: Path = ()) -> Iterator[Path]:
    """Where a wire event has a field, those inside of its parts included."""
    for key, inner in value.items():
        yield (*at, key)
        if isinstance(inner, dict):
            yield from paths(inner, (*at, key))


def replaced(value: dict[str, Any], path: Path, *junk: Any) -> dict[str, Any]:
    """The same event with junk at the path; with nothing there, where no junk is given."""
    key, *rest = path
    if rest:
        return {**value, key: replaced(value[key], tuple(rest), *junk)}
    others = {name: inner for name, inner in value.items() if name != key}
    return {**others, key: junk[0]} if junk else others


def mutants(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The event with each of its fields left out, and with each kind of junk in its place or beside it."""
    left_out = [replaced(event, path) for path in paths(event)]
    beside = [{**event, "unheardOf": junk} for junk in JUNK]
    return left_out + beside + [replaced(event, path, junk) for path in paths(event) for junk in JUNK]


def accepted_here(event: Any) -> bool:
    try:
        parse_event(event)
    except EventInvalidError:
        return False
    return True


@settings(max_examples=100, deadline=None)
@given(st.lists(events(), min_size=1, max_size=5))
def test_the_peer_accepts_every_event_that_we_write(written: list[Event]) -> None:
    assert_peer_accepts([dump_event(event) for event in written])
    TALLY.update(events=len(written), accepted=len(written))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_both_refuse_the_same_mutants(kind: type[Event]) -> None:
    """Of every kind of event, and both the accepted and the refused are many."""
    counts: Counter[str] = Counter()

    @settings(max_examples=5, deadline=None)
    @given(event_of(kind))
    def agree(event: Event) -> None:
        refusals = [refused_by_both(mutant, answer) for mutant, answer in asked_about(mutants(dump_event(event)))]
        counts.update(events=len(refusals), refused=sum(refusals), accepted=len(refusals) - sum(refusals))

    agree()
    TALLY.update(counts)
    assert counts["events"] >= LEAST / len(KINDS)
    assert min(counts["refused"], counts["accepted"]) > counts["events"] / 10


def asked_about(mutated: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Answer]]:
    return zip(mutated, shared_oracle().ask("parse", [[mutant] for mutant in mutated]), strict=True)


def refused_by_both(mutant: dict[str, Any], answer: Answer) -> bool:
    assert accepted_here(mutant) is not answer.refused, (mutant, answer.error)
    assert accepted_here(json.dumps(mutant)) is not answer.refused, (mutant, answer.error)
    return answer.refused


@pytest.mark.parametrize("data", [None, [], "x", 1, {}, {"type": "StepStarted"}, {"type": "toString"}, {"type": None}])
def test_both_refuse_what_is_no_event(data: Any) -> None:
    assert shared_oracle().ask("parse", [[data]])[0].refused
    assert not accepted_here(data)


FRAME_PIECES = st.sampled_from(
    [
        *("at f ", "  at ", "async g ", "at", "(", ")", " ", "é", "\n", "\n", "\r\n"),
        *("(/home/u/app/src/x.js:1:2)", "(/a/node_modules/b/c.js:10:20)", "(/a/packages/p/dist/q.js:1:1)"),
        *("(C:\\a\\b.js:1:2)", "(/x.js:3)", "/bare/path.js:1:2"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    name=st.none() | st.text(max_size=3),
    message=st.text(max_size=5),
    stack=st.none() | st.lists(FRAME_PIECES, max_size=14).map("".join),
)
@example(name="E", message="m", stack="E: m\n    at f (/any/path/src/x.js:1:2)\n    at g (node:internal/x:1:2)")
def test_errors_of_javascript_have_the_same_fingerprints(name: str | None, message: str, stack: str | None) -> None:
    error = StepError(name=name, message=message, stack=stack)
    [answer] = shared_oracle().ask("fingerprints", [[error.to_wire()]])
    assert compute_error_fingerprints(error).to_wire() == answer.value


def test_the_oracle_ends_with_its_block() -> None:
    with PeerOracle() as oracle:
        assert [answer.value for answer in oracle.ask("currentAttemptNumber", [[[]]])] == [0]
    assert oracle.ended


@pytest.mark.parametrize(("ci", "outcome"), [("", "Skipped"), ("true", "Failed")])
def test_without_node_tests_are_skipped_but_fail_in_ci(ci: str, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(BaseException, match="node is not installed") as caught, PeerOracle():
        pass
    assert caught.typename == outcome
