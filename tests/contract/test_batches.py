"""One thing done with many runs, in pieces: how far each piece comes, what it leaves, and where the next goes on."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from cascade_flow import BackendUnavailableError, DynamoDBBackend, clock
from cascade_flow.dynamodb.listing import START, Filter, Place
from cascade_flow.errors import (
    CascadeFlowError,
    ConfigurationError,
    ConflictError,
    RunNotCancellableError,
    ThrottledError,
)
from cascade_flow.operations.batches import Batches, Bounds, Piece, Refusal
from contract.outside import FLOW, register, submit
from simulation import TickingClock

RUNS = [f"run-{number}" for number in range(5)]
NEWEST_FIRST = RUNS[::-1]
LATER_US = 10**12


@pytest.fixture
def submitted(backend: DynamoDBBackend) -> DynamoDBBackend:
    register(backend)
    for run_id in RUNS:
        submit(backend, run_id=run_id)
    return backend


def cancelled(
    backend: DynamoDBBackend, after: Any = START, *, limit: int = 9, for_us: int = LATER_US, **wanted: Any
) -> Piece:
    bounds = Bounds(limit, after, clock.now_us() + for_us)
    return Batches(backend.runtime).cancel(FLOW, Filter(**wanted), "enough", bounds)


def retried(backend: DynamoDBBackend, **wanted: Any) -> Piece:
    return Batches(backend.runtime).retry(FLOW, Filter(**wanted), "again", Bounds(9, START, clock.now_us() + LATER_US))


def status_of(backend: DynamoDBBackend) -> list[str]:
    """Of all runs, newest first."""
    return [run.status for run in backend.list_runs().runs]


class Refusing:
    """Stands in for what is done with a run: refuses at some."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, act: str, errors: dict[str, CascadeFlowError]) -> None:
        self.asked: list[str] = []
        self._errors = errors
        monkeypatch.setattr(act, lambda _, run_id, reason, **__: self._acted(run_id))

    def _acted(self, run_id: str) -> None:
        self.asked.append(run_id)
        if run_id in self._errors:
            raise self._errors[run_id]


CANCEL = "cascade_flow.operations.runs.Runs.cancel"
cancelling = partial(Refusing, act=CANCEL)


def test_all_that_go_on_are_cancelled_and_nothing_else(submitted: DynamoDBBackend) -> None:
    submitted.cancel_run(RUNS[2], "earlier")
    assert cancelled(submitted) == Piece(4, [], None)
    assert status_of(submitted) == ["cancelled"] * 5
    reasons = {submitted.load_events(FLOW, run_id)[-1].reason for run_id in RUNS}  # type: ignore[union-attr]
    assert reasons == {"enough", "earlier"}


def test_a_delayed_run_is_cancelled_too(submitted: DynamoDBBackend) -> None:
    submit(submitted, run_id="later", available_at=clock.now_us() + LATER_US)
    assert cancelled(submitted).done == 6


def test_who_says_in_which_status_means_no_other_runs(submitted: DynamoDBBackend) -> None:
    submit(submitted, run_id="later", available_at=clock.now_us() + LATER_US)
    assert cancelled(submitted, status=("running",)).done == 5
    assert status_of(submitted) == ["pending"] + ["cancelled"] * 5


def test_no_other_workflows_runs_are_meant(submitted: DynamoDBBackend) -> None:
    register(submitted, slug="bills")
    other = submit(submitted, "bills", run_id="other")
    assert cancelled(submitted).done == 5
    submitted.cancel_run(other)
    assert retried(submitted, status=("cancelled",)).done == 5


def test_only_what_has_failed_is_tried_again_unless_somebody_says_otherwise(submitted: DynamoDBBackend) -> None:
    cancelled(submitted)
    assert retried(submitted) == Piece(0, [], None)
    assert retried(submitted, status=("cancelled",)) == Piece(5, [], None)
    assert status_of(submitted) == ["running"] * 5
    told = [submitted.load_events(FLOW, run_id, types=["WorkflowRetryStarted"]) for run_id in RUNS]
    assert [event.reason for [event] in told] == ["again"] * 5  # type: ignore[union-attr]


def test_a_piece_has_so_many_runs_and_the_next_goes_on_behind_them(submitted: DynamoDBBackend) -> None:
    first = cancelled(submitted, limit=2)
    assert (first.done, status_of(submitted)) == (2, ["cancelled"] * 2 + ["running"] * 3)
    second = cancelled(submitted, first.more, limit=2)
    assert (second.done, status_of(submitted)) == (2, ["cancelled"] * 4 + ["running"])
    assert cancelled(submitted, second.more, limit=2) == Piece(1, [], None)


def test_a_run_that_refuses_stops_nothing_and_says_why(
    submitted: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, moved = RunNotCancellableError("it is over"), ConflictError()
    acts = cancelling(monkeypatch, errors={RUNS[3]: over, RUNS[1]: moved})
    assert cancelled(submitted) == Piece(3, [Refusal(RUNS[3], over), Refusal(RUNS[1], moved)], None)
    assert acts.asked == NEWEST_FIRST


@pytest.mark.parametrize("error", [ThrottledError(), BackendUnavailableError()])
def test_a_table_that_is_busy_ends_a_piece_before_the_run_that_met_it(
    submitted: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch, error: CascadeFlowError
) -> None:
    over = RunNotCancellableError("it is over")
    cancelling(monkeypatch, errors={RUNS[4]: over, RUNS[2]: error})
    piece = cancelled(submitted)
    assert (piece.done, piece.refused) == (1, [Refusal(RUNS[4], over)])
    again = cancelling(monkeypatch, errors={})
    assert cancelled(submitted, piece.more).more is None
    assert again.asked == NEWEST_FIRST[2:]


@pytest.mark.parametrize("error", [ThrottledError(), BackendUnavailableError(), ConfigurationError("no table")])
def test_what_no_run_can_help_is_raised_where_nothing_was_done(
    submitted: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch, error: CascadeFlowError
) -> None:
    cancelling(monkeypatch, errors={RUNS[4]: error})
    with pytest.raises(type(error)):
        cancelled(submitted)


def test_what_is_set_up_wrongly_is_raised_whatever_was_done(
    submitted: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelling(monkeypatch, errors={RUNS[2]: ConfigurationError("no table")})
    with pytest.raises(ConfigurationError):
        cancelled(submitted)


def test_a_piece_whose_time_is_over_counts_what_was_done_and_what_refused(
    submitted: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = RunNotCancellableError("it is over")

    def slowly(_: Any, run_id: str, **__: Any) -> None:
        clock.pause_us(1_000_000)
        if run_id == RUNS[4]:
            raise over

    monkeypatch.setattr(CANCEL, slowly)
    with clock.use(TickingClock(clock.now_us())):
        piece = cancelled(submitted, for_us=2_500_000)
    assert (piece.done, piece.refused) == (2, [Refusal(RUNS[4], over)])
    again = cancelling(monkeypatch, errors={})
    assert cancelled(submitted, piece.more).more is None
    assert again.asked == NEWEST_FIRST[3:]


def test_a_piece_whose_time_is_over_has_one_run_at_least(
    submitted: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = cancelling(monkeypatch, errors={})
    after: Place | None = START
    done = 0
    with clock.use(TickingClock(clock.now_us(), tick_us=0)):
        while after is not None:
            piece = cancelled(submitted, after, for_us=0)
            assert piece.done == 1
            after, done = piece.more, done + 1
    assert (done, acts.asked) == (5, NEWEST_FIRST)
