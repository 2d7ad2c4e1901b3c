"""For random histories of steps and runs all that the peer makes of one equals ours: the fold, in whatever order events
come, logs, attempts, fingerprints and reports.

Every history that is drawn is held against the peer in some forms: as it is, cut off, with events lost, doubled, or in
another order. All forms of one are asked at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import given, settings, strategies as st

from cascade_flow.fingerprints import compute_error_fingerprints
from cascade_flow.model.events import Event, dump_event
from peer import assert_peer_accepts
from peer.agreement import assert_run_projections_agree, assert_step_projections_agree
from peer.oracle import shared_oracle
from peer.reports import assert_reports_agree, split
from strategies import WORKFLOW_SLUG, hostile_run_histories, hostile_step_histories, run_histories, step_histories
from tally import TALLY

DRAWN = 150
FORMS = 8

History = Sequence[Event]
HISTORIES: Sequence[st.SearchStrategy[Any]] = (
    step_histories(),
    hostile_step_histories(),
    run_histories(),
    hostile_run_histories(),
)


def forms_of(history: History, dice: Random) -> list[History]:
    """The history, and what else could have been stored of it; each form once."""
    others = dice.choices((_cut_off, _with_losses, _doubled, _shuffled), k=FORMS - 1)
    forms = [history, *(change(history, dice) for change in others)]
    return list({tuple(map(id, form)): form for form in forms}.values())


def _cut_off(history: History, dice: Random) -> History:
    return history[: dice.randint(1, len(history))]


def _with_losses(history: History, dice: Random) -> History:
    return [event for event in history if dice.random() < 0.7] or history


def _doubled(history: History, dice: Random) -> History:
    return sorted([*history, dice.choice(history)], key=lambda event: event.timestamp_us)


def _shuffled(history: History, dice: Random) -> History:
    return dice.sample(history, len(history))


def assert_all_agrees(histories: Sequence[History]) -> None:
    parted = [split(history) for history in histories]
    steps = [[e for e in events if e.step_id == id] for events, _ in parted for id in {e.step_id for e in events}]
    assert_step_projections_agree([[dump_event(event) for event in mine] for mine in steps], WORKFLOW_SLUG)
    assert_run_projections_agree([[dump_event(event) for event in runs] for _, runs in parted], WORKFLOW_SLUG)
    assert_reports_agree(histories)
    assert_fingerprints_agree(histories)


def assert_fingerprints_agree(histories: Sequence[History]) -> None:
    errors = [error for history in histories for event in history if (error := getattr(event, "error", None))]
    answers = shared_oracle().ask("fingerprints", [[error.to_wire()] for error in errors])
    assert [compute_error_fingerprints(error).to_wire() for error in errors] == [answer.value for answer in answers]


@settings(max_examples=DRAWN, deadline=None)
@given(history=st.one_of(HISTORIES), seed=st.integers(0, 2**32))
def test_of_histories(history: list[Event], seed: int) -> None:
    forms = forms_of(history, Random(seed))
    assert_peer_accepts([dump_event(event) for event in history])
    assert_all_agrees(forms)
    TALLY["histories"] += len(forms)


def test_of_nothing_at_all() -> None:
    assert_run_projections_agree([[]], WORKFLOW_SLUG)
    assert_step_projections_agree([[]], WORKFLOW_SLUG)
