"""Many submissions at once: what becomes of each, in which order, and what nobody can do for the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from cascade_flow import BackendUnavailableError, DynamoDBBackend, InputInvalidError, RunSubmission, clock
from cascade_flow.errors import CascadeFlowError, ConfigurationError, ConflictError, SetupError, ThrottledError
from cascade_flow.model.states import SubmittedRun
from cascade_flow.operations.lanes import Threads
from cascade_flow.operations.many_submissions import AT_ONCE, Outcome, Submissions, Wish, groups
from cascade_flow.operations.runs import Runs
from cascade_flow.wake import Wake
from contract.outside import FLOW, register
from testbed.meter import meter
from testbed.servers import Store

SCHEMA = '{"type": "object", "properties": {"n": {"type": "integer"}}}'
LATER_US = 10**12
Submit = Callable[[Runs, RunSubmission], SubmittedRun]


@pytest.fixture
def flow(backend: DynamoDBBackend) -> DynamoDBBackend:
    register(backend, input_schema_json=SCHEMA)
    return backend


def wish(run_id: str | None = None, **said: object) -> RunSubmission:
    return RunSubmission.model_validate({"workflow_slug": FLOW, "run_id": run_id, **said})


def submitted(backend: DynamoDBBackend, *wishes: Wish, for_us: int = LATER_US) -> list[Outcome]:
    return Submissions(backend.runtime).submit(wishes, until_us=clock.now_us() + for_us)


def told(outcomes: Sequence[Outcome]) -> list[tuple[str, bool] | str | None]:
    """Each as its run and whether that is new, or as the error's code."""
    return [None if each is None else _told(each) for each in outcomes]


def _told(outcome: SubmittedRun | CascadeFlowError) -> tuple[str, bool] | str:
    return outcome.code if isinstance(outcome, CascadeFlowError) else (outcome.run_id, outcome.is_new)


def meeting(monkeypatch: pytest.MonkeyPatch, error: Exception, at: str) -> None:
    """The submission of this run meets an error."""
    submit: Submit = Runs.submit

    def meets(self: Runs, submission: RunSubmission) -> SubmittedRun:
        if submission.run_id == at:
            raise error
        return submit(self, submission)

    monkeypatch.setattr(Runs, "submit", meets)


def test_each_is_answered_in_its_place_and_one_that_is_refused_loses_no_other(flow: DynamoDBBackend) -> None:
    flow.submit_run(wish("taken"))
    flow.submit_run(wish("first", idempotency_key="k", input={"n": 1}))
    unread = InputInvalidError("no JSON")
    found = submitted(
        flow,
        wish("a"),
        wish(input={"n": "x"}),
        wish(idempotency_key="k", input={"n": 1}),
        wish(idempotency_key="k", input={"n": 2}),
        wish("taken"),
        unread,
        wish("b", workflow_slug="letters"),
        wish("c"),
    )
    expected = [("a", True), "input-invalid", ("first", False), "idempotency-conflict", "conflict"]
    assert told(found) == [*expected, "input-invalid", "workflow-not-found", ("c", True)]
    assert isinstance(found[1], InputInvalidError)
    assert found[1].issues[0].path == "input.n"
    assert {run.run_id for run in flow.list_runs().runs} == {"a", "c", "first", "taken"}


def test_what_is_sent_again_makes_no_second_run(flow: DynamoDBBackend) -> None:
    wishes = [wish(idempotency_key=f"k{n}", input={"n": n}) for n in range(5)]
    first = submitted(flow, *wishes[:3])
    again = submitted(flow, *wishes)
    assert [each.run_id for each in again[:3]] == [each.run_id for each in first]  # type: ignore[union-attr]
    assert [each.is_new for each in again] == [False] * 3 + [True] * 2  # type: ignore[union-attr]
    assert flow.list_runs().total == 5


def test_of_those_that_say_the_same_the_first_is_heard_first_whoever_is_quicker(flow: DynamoDBBackend) -> None:
    alike = [wish(idempotency_key="k", input={"n": n}) for n in range(4)]
    named = [wish("r", input={"n": n}) for n in range(4)]
    lanes = Threads(4)
    found = Submissions(flow.runtime, lanes).submit([*alike, *named], until_us=clock.now_us() + LATER_US)
    assert [isinstance(each, SubmittedRun) for each in found] == [True, *[False] * 3] * 2
    assert flow.get_run("r").input == '{"n":0}'  # type: ignore[union-attr]


def test_a_group_ends_where_one_says_what_another_of_it_has_said() -> None:
    plain = [wish() for _ in range(AT_ONCE + 1)]
    assert [len(group) for group in groups(plain)] == [AT_ONCE, 1]
    key, id, other = wish(idempotency_key="a"), wish("a"), wish("b", idempotency_key="a")
    assert list(groups([key, id, other, key])) == [[key, id], [other], [key]]


@pytest.mark.parametrize("error", [ThrottledError(), BackendUnavailableError()])
def test_a_busy_table_leaves_the_rest_and_loses_nothing_that_was_made(
    flow: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch, error: CascadeFlowError
) -> None:
    meeting(monkeypatch, error, "b")
    assert told(submitted(flow, wish("a"), wish("b"), wish("c"))) == [("a", True), error.code, None]


@pytest.mark.parametrize("error", [ThrottledError(), BackendUnavailableError()])
def test_where_it_lets_none_be_made_it_is_raised(
    flow: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch, error: CascadeFlowError
) -> None:
    meeting(monkeypatch, error, "a")
    with pytest.raises(type(error)):
        submitted(flow, wish(input={"n": "x"}), wish("a"), wish("b"))


def test_what_is_set_up_wrongly_is_raised_and_who_was_made_is_woken(
    flow: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting(monkeypatch, ConfigurationError("no table"), "b")
    heard: list[str] = []
    heeding = replace(flow.runtime, queue=Heard(heard))
    with pytest.raises(SetupError):
        Submissions(heeding).submit([wish("a"), wish("b")], until_us=clock.now_us() + LATER_US)
    assert heard == ["a"]


def test_a_mistake_of_ours_in_one_loses_no_other(flow: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting(monkeypatch, ZeroDivisionError(), "b")
    assert told(submitted(flow, wish("a"), wish("b"), wish("c"))) == [("a", True), "cascade-flow-error", ("c", True)]


def test_when_time_is_over_the_rest_is_left(flow: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    submit: Submit = Runs.submit

    def slowly(self: Runs, submission: RunSubmission) -> SubmittedRun:
        stepping.advance(1_000_000)
        return submit(self, submission)

    monkeypatch.setattr(Runs, "submit", slowly)
    with clock.use(clock.SteppingClock(clock.now_us())) as stepping:
        found = submitted(flow, wish("a"), wish("b"), wish("c"), for_us=1_500_000)
    assert told(found) == [("a", True), ("b", True), None]


def test_none_is_dearer_than_alone_and_their_wake_ups_go_together(flow: DynamoDBBackend, dynamodb: Store) -> None:
    def said(n: int) -> RunSubmission:
        return wish(f"r{n}", idempotency_key=f"k{n}", input={"n": n})

    flow.submit_run(said(0))
    with meter(dynamodb.product, dynamodb.table) as counting:
        for n in range(10, 13):
            flow.submit_run(said(n))
        alone = (counting.write_units, counting.read_units, len(counting.lines))
        counting.reset()
        sends: list[str] = []
        Submissions(replace(flow.runtime, queue=Heard(sends))).submit(
            map(said, range(20, 23)), until_us=clock.now_us() + LATER_US
        )
        assert (counting.write_units, counting.read_units, len(counting.lines)) == alone
    assert sends == ["r20 r21 r22"]


class Heard:
    """A queue that notes what is sent together."""

    seal = None

    def __init__(self, heard: list[str]) -> None:
        self._heard = heard

    def send(self, wakes: Sequence[Wake]) -> None:
        self._heard.append(" ".join(wake.run_id for wake in wakes))


def test_a_conflict_is_one_runs_own(flow: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting(monkeypatch, ConflictError(), "a")
    assert told(submitted(flow, wish("a"), wish("b"))) == ["conflict", ("b", True)]
