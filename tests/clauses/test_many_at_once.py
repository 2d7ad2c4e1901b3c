"""Many submissions in one request: in groups, one message for many, and no more where the table is busy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cascade_flow import ConfigurationError, RunSubmission, SubmittedRun, ThrottledError, clock
from cascade_flow.errors import CascadeFlowError, ConflictError
from cascade_flow.operations import many_submissions
from cascade_flow.operations.lanes import OneByOne
from cascade_flow.operations.many_submissions import Submissions, groups
from cascade_flow.operations.runs import Runs
from cascade_flow.wake import Wake
from simulation import TickingClock, World, step

LATER_US = 10**18


def wish(run_id: str | None = None, key: str | None = None) -> RunSubmission:
    return RunSubmission(workflow_slug="flow", run_id=run_id, idempotency_key=key)


def test_those_that_say_the_same_are_not_made_at_the_same_time() -> None:
    a, b, again, other, nameless = wish("a"), wish("b"), wish("a"), wish(key="a"), wish()
    assert list(groups([a, b, again, other])) == [[a, b], [again, other]]
    assert list(groups([a, b, again, b, other])) == [[a, b], [again, b, other]]
    assert list(groups([nameless, nameless, ConflictError(), ConflictError()]))[1:] == []


def test_a_group_is_no_larger_than_what_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_submissions, "AT_ONCE", 2)
    assert [len(group) for group in groups([wish()] * 5)] == [2, 2, 1]


@pytest.fixture
def sent(world: World, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Whom each message to the queue has named; groups are of two."""
    monkeypatch.setattr(many_submissions, "AT_ONCE", 2)
    world.register([step("a")])
    told: list[list[str]] = []
    send = world.mailbox.send

    def noted(wakes: Sequence[Wake]) -> None:
        told.append([wake.run_id for wake in wakes])
        send(wakes)

    monkeypatch.setattr(world.mailbox, "send", noted)
    return told


def refusing(monkeypatch: pytest.MonkeyPatch, at: str, error: Exception) -> None:
    """The submission of this run is refused so."""
    submit: Callable[..., Any] = Runs.submit

    def submitted(runs: Runs, wish: RunSubmission) -> SubmittedRun:
        if wish.run_id == at:
            raise error
        made: SubmittedRun = submit(runs, wish)
        return made

    monkeypatch.setattr(Runs, "submit", submitted)


def names(outcomes: Sequence[Any]) -> list[Any]:
    return [each.run_id if isinstance(each, SubmittedRun) else each for each in outcomes]


def test_a_group_is_told_of_together_and_once(world: World, sent: list[list[str]]) -> None:
    wishes = [wish("r1"), wish("r2"), wish("r3")]
    assert names(Submissions(world.backend.runtime).submit(wishes, until_us=LATER_US)) == ["r1", "r2", "r3"]
    assert sent == [["r1", "r2"], ["r3"]]


def test_who_fails_for_all_leaves_none_unheard_that_was_made(
    world: World, sent: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, "r2", ConfigurationError("nobody may"))
    with pytest.raises(ConfigurationError):
        Submissions(world.backend.runtime).submit([wish("r1"), wish("r2")], until_us=LATER_US)
    assert sent == [["r1"]]


@pytest.mark.usefixtures("sent")
def test_where_the_table_is_busy_no_more_are_begun(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = ThrottledError()
    refusing(monkeypatch, "r2", busy)
    wishes = [wish("r1"), wish("r2"), wish("r3"), wish("r4")]
    assert names(Submissions(world.backend.runtime).submit(wishes, until_us=LATER_US)) == ["r1", busy, None, None]


@pytest.mark.usefixtures("sent")
def test_a_table_that_is_busy_before_all_is_told_as_busy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, "r1", ThrottledError())
    with pytest.raises(ThrottledError):
        Submissions(world.backend.runtime).submit([wish("r1"), wish("r2")], until_us=LATER_US)


@pytest.mark.usefixtures("sent")
def test_a_mistake_of_ours_loses_no_other_submission_and_is_written_down(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusing(monkeypatch, "r1", ValueError("of ours"))
    [failed, made] = Submissions(world.backend.runtime).submit([wish("r1"), wish("r2")], until_us=LATER_US)
    assert (type(failed), names([made])) == (CascadeFlowError, ["r2"])
    assert "ValueError: of ours" in caplog.text


@pytest.mark.usefixtures("sent")
def test_a_group_is_made_in_the_lanes_that_are_there(world: World) -> None:
    groups: list[int] = []

    class Noted(OneByOne):
        def each(self, act: Callable[[Any], Any], over: Sequence[Any]) -> list[Any]:
            groups.append(len(over))
            return super().each(act, over)

    made = Submissions(world.backend.runtime, Noted()).submit([wish("r1"), wish("r2"), wish("r3")], until_us=LATER_US)
    assert (names(made), groups) == (["r1", "r2", "r3"], [2, 1])


@pytest.mark.usefixtures("sent")
def test_when_time_is_over_none_is_begun(world: World) -> None:
    with clock.use(TickingClock(clock.now_us(), tick_us=0)):
        assert Submissions(world.backend.runtime).submit([wish("r1")], until_us=clock.now_us()) == [None]
    assert world.observer.runtime.ledger.run("r1") is None


@pytest.mark.usefixtures("sent")
def test_what_was_no_submission_is_answered_so_also_when_time_is_over(world: World) -> None:
    refused = ConflictError()
    assert Submissions(world.backend.runtime).submit([refused, wish("r1")], until_us=0) == [refused, None]


@pytest.mark.usefixtures("sent")
def test_who_is_woken_for_one_of_many_is_told_what_lasts(world: World) -> None:
    """As for a run that is submitted alone: so its worker reads nothing more."""
    Submissions(world.backend.runtime).submit([wish("r1"), wish("r2")], until_us=LATER_US)
    alone = world.backend.submit_run(wish("r3"))
    wakes = {wake.run_id: wake for wake in world.mailbox.wakes}
    assert all(world.mailbox.seal.opened(wakes[run_id].told) for run_id in ("r1", "r2", alone.run_id))
