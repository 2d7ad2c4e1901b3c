"""What each write about a caller's run asks of what is stored, and what it leaves there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.caller_items import caller_step_item, to_caller_step
from cascade_flow.dynamodb.caller_ledger import CallerLedger, CallerWrite, Moved, TimesTaken
from cascade_flow.dynamodb.codec import to_record
from cascade_flow.dynamodb.items import Item, commit_item, log_item, run_item, size_of, to_run
from cascade_flow.dynamodb.table import NONCE, Put, Table, Write
from cascade_flow.engine.caller import CallerStep, reserved
from cascade_flow.engine.state import ENDED, Run, Stop
from cascade_flow.model.events import RunSubmitted, StepCheckpoint, StepHeartbeat
from cascade_flow.model.states import StepState
from unit.dynamodb.stored import NEVER_S, lost, put
from unit.dynamodb.told import SUBMISSION, step_scheduled
from unit.engine.facts import NOW_US, told

RUN = replace(
    reserved("flow", "run", now_us=NOW_US, longest_us=10, retention_us=20),
    status="running",
    seq=4,
    expires_s=NEVER_S,
    completed_at_us=NOW_US + 9,
    due_us=NOW_US + 9,
)
OF_ENGINE = replace(RUN, driver="engine")
COPYING = replace(RUN, status="copying")
STEP = CallerStep(
    StepState(
        step_id="a",
        run_id="run",
        workflow_slug="flow",
        status="scheduled",
        attempt_number=1,
        dependencies=[],
        state_changes=[],
    ),
    seq=7,
    last_us=NOW_US,
)


@pytest.fixture
def ledger(table: Table) -> CallerLedger:
    return CallerLedger(table)


def step_item(step: CallerStep | None) -> Item | None:
    return None if step is None else caller_step_item(RUN, step)


def item_of(table: Table, key: keys.Key | None = None) -> Item:
    item = table.get(key or keys.run("run"))
    assert item is not None
    return item


def now(status: Any, **changed: Any) -> Run:
    return replace(RUN, status=status, **changed)


@pytest.mark.parametrize(
    ("before", "live", "fits", "others"),
    [
        (RUN, False, [RUN, *map(now, sorted(ENDED)), now("running", seq=5)], [COPYING, OF_ENGINE, None]),
        (RUN, True, [RUN, now("pending"), now("running", seq=5)], [*map(now, sorted(ENDED)), COPYING, OF_ENGINE]),
        *((now(end), False, [now(end)], [RUN, *map(now, sorted(ENDED - {end})), COPYING]) for end in sorted(ENDED)),
        (now("failed"), True, [now("failed")], [RUN, replace(OF_ENGINE, status="failed")]),
    ],
)
def test_a_run_that_stays_as_it_is_must_be_what_its_writer_says(
    table: Table, ledger: CallerLedger, before: Run, live: bool, fits: list[Run | None], others: list[Run | None]
) -> None:
    for number, there in enumerate((*others, *fits)):
        if there is None:
            table.delete(keys.run("run"))
        put(table, there)
        telling = CallerWrite("run", (before, before), events=(step_scheduled(NOW_US + number),), live=live)
        if there in fits:
            ledger.write(telling, {})
        else:
            with pytest.raises(Moved):
                ledger.write(telling, {})
    assert len(ledger.records("run")) == len(fits)


@pytest.mark.parametrize("there", [now("running", seq=3), now("running", seq=5), COPYING, OF_ENGINE, None])
def test_a_run_is_changed_as_it_was_read(table: Table, ledger: CallerLedger, there: Run | None) -> None:
    put(table, there)
    telling = CallerWrite("run", (RUN, now("completed", seq=5)))
    with pytest.raises(Moved):
        ledger.write(telling, {})
    put(table, RUN)
    ledger.write(telling, {})
    assert to_run(item_of(table)) == now("completed", seq=5)


def test_a_new_run_is_put_where_there_is_none(table: Table, ledger: CallerLedger) -> None:
    ledger.write(CallerWrite("run", (None, RUN)), {})
    assert to_run(item_of(table)) == RUN
    with pytest.raises(Moved):
        ledger.write(CallerWrite("run", (None, RUN)), {})


@pytest.mark.parametrize("after", [replace(STEP, seq=8), None], ids=["moves", "goes"])
@pytest.mark.parametrize("before", [STEP, None], ids=["was there", "is new"])
def test_a_step_is_changed_as_it_was_read(
    table: Table, ledger: CallerLedger, before: CallerStep | None, after: CallerStep | None
) -> None:
    put(table, RUN)
    telling = CallerWrite("run", (RUN, RUN), {"a": (before, after)}, events=(step_scheduled(NOW_US),))
    for there in (replace(STEP, seq=6), replace(STEP, seq=9), *([None] if before else [STEP])):
        table.delete(keys.branch("run", "a"))
        put(table, step_item(there))
        with pytest.raises(Moved):
            ledger.write(telling, {})
    table.delete(keys.branch("run", "a"))
    put(table, step_item(before))
    ledger.write(telling, {})
    item = table.get(keys.branch("run", "a"))
    assert (None if item is None else to_caller_step(item)) == after


def test_events_go_where_they_are_free_and_others_are_taken_away(table: Table, ledger: CallerLedger) -> None:
    put(table, RUN)
    first, second, third = (step_scheduled(NOW_US + number) for number in range(3))
    ledger.write(CallerWrite("run", (RUN, RUN), events=(first, third)), {"initial": "no text"})
    with pytest.raises(TimesTaken) as taken:
        ledger.write(CallerWrite("run", (RUN, RUN), {"a": (None, STEP)}, events=(first, second, third)), {})
    assert taken.value.times == {NOW_US, NOW_US + 2}
    forgotten = (NOW_US, NOW_US + 2)
    ledger.write(CallerWrite("run", (RUN, RUN), {"a": (None, STEP)}, events=(second,), forgotten=forgotten), {})
    assert ledger.records("run") == [to_record(second, {})]
    assert item_of(table, keys.commit("run", NOW_US + 1))[keys.EXPIRY] == NEVER_S


@pytest.mark.parametrize(
    ("status", "us", "is_kept"),
    [("pending", NOW_US, True), ("running", NOW_US, True), ("reserved", NOW_US, False), ("running", NOW_US + 1, False)],
)
def test_a_run_keeps_its_own_submission_beside_it(ledger: CallerLedger, status: Any, us: int, is_kept: bool) -> None:
    own = replace(now(status), created_us=NOW_US, tail=())
    submitted = told(RunSubmitted, us, input="7", **SUBMISSION)
    ledger.write(CallerWrite("run", (None, own), events=(submitted, step_scheduled(NOW_US + 5))), {"7": "P#1"})
    known = ledger.known_run("flow", "run").run
    assert known is not None
    assert known.tail == ((to_record(submitted, {"7": "P#1"}),) if is_kept else ())


BEAT = told(StepHeartbeat, NOW_US, step_id="a", attempt_number=1, worker_id="w")


def ended(ended_us: int) -> Run:
    return replace(OF_ENGINE, status="failed", completed_at_us=ended_us, due_us=NOW_US + 3)


@pytest.mark.parametrize("ended_us", [NOW_US - 1, NOW_US])
@pytest.mark.parametrize("event", [BEAT, step_scheduled(NOW_US)], ids=["of no report", "of reports"])
def test_no_event_is_added_to_what_has_ended_by_its_time(
    table: Table, ledger: CallerLedger, ended_us: int, event: Any
) -> None:
    put(table, ended(ended_us))
    with pytest.raises(Moved):
        ledger.append_foreign(ended(ended_us), event, {})
    assert (to_run(item_of(table)), ledger.records("run")) == (ended(ended_us), [])


@pytest.mark.parametrize(
    ("event", "moved"), [(BEAT, 0), (step_scheduled(NOW_US), 1)], ids=["of no report", "of reports"]
)
def test_an_event_is_added_to_what_has_not_ended_by_its_time(
    table: Table, ledger: CallerLedger, event: Any, moved: int
) -> None:
    run = ended(NOW_US + 1)
    put(table, run)
    ledger.append_foreign(run, event, {})
    assert to_run(item_of(table)) == replace(run, seq=4 + moved, due_us=NOW_US + 3 + moved)
    assert ledger.records("run") == [to_record(event, {})]
    assert item_of(table, keys.commit("run", NOW_US))[keys.EXPIRY] == NEVER_S
    with pytest.raises(TimesTaken) as taken:
        ledger.append_foreign(run, event, {})
    assert taken.value.times == {NOW_US}
    put(table, ended(NOW_US))
    with pytest.raises(Moved):
        ledger.append_foreign(run, event, {})


def test_a_text_of_an_added_event_that_was_put_aside_is_named(table: Table, ledger: CallerLedger) -> None:
    put(table, OF_ENGINE)
    kept = told(StepCheckpoint, NOW_US, step_id="a", attempt_number=1, name="c", sequence_number=1, data="7")
    ledger.append_foreign(OF_ENGINE, kept, {"7": "P#1"})
    assert ledger.records("run") == [to_record(kept, {"7": "P#1"})]


ENDED_SINCE = replace(OF_ENGINE, status="cancelled", completed_at_us=NOW_US + 1)


def test_what_reports_ask_for_is_not_added_by_who_does_not_know_that_the_run_has_ended(
    table: Table, ledger: CallerLedger
) -> None:
    put(table, ENDED_SINCE)
    with pytest.raises(Moved):
        ledger.append_foreign(OF_ENGINE, step_scheduled(NOW_US), {})
    assert ledger.records("run") == []


def test_what_no_report_asks_for_is_added_also_by_who_does_not_know_that_the_run_has_ended(
    table: Table, ledger: CallerLedger
) -> None:
    put(table, ENDED_SINCE)
    ledger.append_foreign(OF_ENGINE, BEAT, {})
    assert ledger.records("run") == [to_record(BEAT, {})]


@pytest.mark.parametrize("there", [None, COPYING, now("reserved", seq=1)])
def test_a_copy_takes_an_id_of_which_nothing_was_said(table: Table, ledger: CallerLedger, there: Run | None) -> None:
    put(table, there)
    nonce = ledger.begin_copy(RUN)
    item = item_of(table)
    assert (to_run(item), item[NONCE]) == (replace(COPYING, due_us=None), nonce)
    assert not {keys.DUE_SHARD, keys.DUE_TIME, keys.RUNS_SHARD} & item.keys()


@pytest.mark.parametrize(
    "there", [now("reserved", seq=2), now("pending", seq=1), now("failed"), replace(OF_ENGINE, seq=1)]
)
def test_a_copy_takes_no_other_id(table: Table, ledger: CallerLedger, there: Run) -> None:
    put(table, there)
    with pytest.raises(Moved):
        ledger.begin_copy(RUN)
    assert to_run(item_of(table)) == there


CHUNK = log_item(keys.log_chunk("run", "a", 1, NOW_US, "ab"), [(NOW_US, "stdout", "x")], expires_s=NEVER_S)


def test_a_copy_is_filled_and_ended_by_who_took_the_id_last(table: Table, ledger: CallerLedger) -> None:
    first, left = ledger.begin_copy(RUN), [caller_step_item(RUN, STEP), CHUNK]
    submitted = to_record(told(RunSubmitted, RUN.created_us, **SUBMISSION), {})
    commits = [commit_item("run", [{**submitted, "timestampUs": us}], expires_s=NEVER_S) for us in (1, 2)]
    ledger.fill_copy(RUN, first, [*left, commits[0]])
    second = ledger.begin_copy(RUN)
    for late in (lambda: ledger.fill_copy(RUN, first, left), lambda: ledger.end_copy(RUN, first, [])):
        with pytest.raises(Moved):
            late()
    ledger.fill_copy(RUN, second, [commits[1], left[0]])
    assert [item["sk"] for item in table.query(keys.history("run"))] == ["B#", "B#a", commits[1]["sk"]]
    assert list(ledger.log_chunks("run")) == []
    assert to_run(item_of(table)).status == "copying"
    ledger.end_copy(RUN, second, [submitted])
    assert to_run(item_of(table)) == replace(RUN, tail=(submitted,))


def _bytes(write: Write) -> int:
    return size_of(write.item) if isinstance(write, Put) else 0


def test_a_copy_is_filled_in_transactions_that_dynamodb_takes(
    table: Table, ledger: CallerLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 100 items and 4 MB; with room for the check that the copy is one's own."""
    sizes: list[tuple[int, int]] = []
    monkeypatch.setattr(table, "write", lambda part: sizes.append((len(part), sum(map(_bytes, part)))))
    large = [commit_item("run", [{"timestampUs": us}], expires_s=NEVER_S) for us in range(20)]
    ledger.fill_copy(RUN, "mine", [{**item, "e": bytes(300_000)} for item in large])
    small = [commit_item("run", [{"timestampUs": us}], expires_s=NEVER_S) for us in range(200)]
    ledger.fill_copy(RUN, "mine", small)
    assert [number for number, _ in sizes] == [7, 7, 7, 3, 91, 91, 21]
    assert max(size for _, size in sizes) < 2_000_000


def test_who_has_ended_a_copy_and_heard_no_answer_knows_it() -> None:
    ledger = CallerLedger(lost(**run_item(RUN), **{NONCE: "mine"}).table)
    ledger.end_copy(RUN, "mine", [])
    with pytest.raises(Moved):
        ledger.end_copy(RUN, "other", [])


def test_lines_are_copied_again_and_taken_away_from_a_run_of_a_callers_alone(
    table: Table, ledger: CallerLedger
) -> None:
    other = replace(RUN, run_id="other", expires_s=NEVER_S - 1)
    for _ in range(2):
        ledger.put_log_chunk(other, CHUNK)
    [(key, chunk)] = ledger.log_chunks("other")
    assert chunk == {**CHUNK, keys.PARTITION: "R#other", keys.EXPIRY: NEVER_S - 1}
    for there in (None, replace(other, status="copying"), replace(other, driver="engine")):
        put(table, there)
        with pytest.raises(Moved):
            ledger.forget_log_chunk("other", key)
    put(table, replace(other, status="completed"))
    ledger.forget_log_chunk("other", key)
    assert list(ledger.log_chunks("other")) == []


def test_lines_are_those_of_the_step_that_is_asked_for(table: Table, ledger: CallerLedger) -> None:
    second = log_item(keys.log_chunk("run", "b", 1, NOW_US, "ab"), [(NOW_US, "stdout", "x")], expires_s=NEVER_S)
    for chunk in (CHUNK, second):
        table.write([Put(chunk)])
    assert [item for _, item in ledger.log_chunks("run")] == [CHUNK, second]
    assert list(ledger.log_chunks("run", "b")) == [(keys.log_chunk("run", "b", 1, NOW_US, "ab"), second)]


def test_what_is_known_of_a_run_is_the_callers(table: Table, ledger: CallerLedger) -> None:
    put(table, RUN, step_item(STEP))
    assert (ledger.known_run("flow", "run", "a").step, ledger.known_run("flow", "run", "b").step) == (STEP, None)
    assert ledger.known_run("as asked", "run").slug == "as asked"
    assert dict(ledger.whole_scene("flow", "run").steps) == {"a": STEP}
    table.write([Put({**run_item(OF_ENGINE)})])
    assert (ledger.known_run("flow", "run", "a").step, ledger.whole_scene("flow", "run").steps) == (None, {})
    table.delete(keys.run("run"))
    for known in (ledger.known_run("flow", "run", "a"), ledger.whole_scene("flow", "run")):
        assert (known.run, known.step, known.steps) == (None, None, {})


def test_a_run_is_known_with_all_of_its_steps_and_events(table: Table, ledger: CallerLedger) -> None:
    names = [f"step-{number:03d}" for number in range(150)]
    steps = (replace(STEP, state=STEP.state.model_copy(update={"step_id": name})) for name in names)
    put(table, RUN, *map(step_item, steps))
    assert list(ledger.whole_scene("flow", "run").steps) == names
    told_together = [to_record(step_scheduled(NOW_US + number), {}) for number in range(3)]
    table.write([Put(commit_item("run", told_together[:2], expires_s=NEVER_S))])
    table.write([Put(commit_item("run", told_together[2:], expires_s=NEVER_S))])
    assert ledger.records("run") == told_together


def test_live_steps_come_back_into_the_index_as_they_were_read(table: Table, ledger: CallerLedger) -> None:
    stopped = replace(RUN, stop=Stop("failed", 1))
    revived, other = (
        replace(stopped, reviving=True),
        replace(STEP, state=STEP.state.model_copy(update={"step_id": "b"})),
    )
    put(table, revived)
    for step in (STEP, replace(other, seq=8)):
        table.write([Put(caller_step_item(now("failed"), step))])
    ledger.list_again(revived, [other, STEP])
    found = {name: item_of(table, keys.branch("run", name)) for name in "ab"}
    assert [keys.DUE_SHARD in item for item in found.values()] == [True, False]
    assert to_run(item_of(table)) == stopped
    put(table, replace(revived, seq=5))
    ledger.list_again(revived, [])
    assert to_run(item_of(table)).reviving


@pytest.mark.parametrize("there", [*map(now, sorted(ENDED)), RUN])
def test_a_step_leaves_the_index_whose_run_has_ended(table: Table, ledger: CallerLedger, there: Run) -> None:
    put(table, there, step_item(STEP))
    for name in ("a", "never there"):
        ledger.list_no_more("run", name)
    left = {keys.DUE_SHARD, keys.DUE_TIME} & item_of(table, keys.branch("run", "a")).keys()
    assert len(left) == (0 if there.status in ENDED else 2)
    assert table.get(keys.branch("run", "never there")) is None
