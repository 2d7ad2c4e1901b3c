"""Every request of every word of a caller, broken in every way that leaves a trace; then the caller says it again.

What is stored is the fold of the events at every moment (`checker`, `told`), what is one transaction is there whole or
not at all, what only lost an answer is stored once, and the lists hold what can be claimed and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from caller_checker import stored_steps
from cascade_flow import DynamoDBBackend, StaleAttemptError, clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.engine.state import ENDED
from checker import check_run
from contract.called import FLOW, Called
from faults.caller_operations import WORDS, Word
from simulation import TIMING, TickingClock
from testbed.faults import Crash, Faults, Kind, Plan, at, faults, nowhere
from testbed.requests import SINGLE_WRITES, TRANSACTIONS
from testbed.servers import Server, Store, fresh_table

WRITES = SINGLE_WRITES | TRANSACTIONS


@dataclass
class Stage:
    """One table, the caller's process, and others that nothing happens to; every case has a run of its own."""

    store: Store
    cases: int = 0

    def __post_init__(self) -> None:
        self.keeper = self.store.another_client()
        self.other = DynamoDBBackend(self.store.table, client=self.keeper, timing=TIMING)

    def run(self) -> Called:
        """A run of which nothing was said yet, in the hands of a process that has said nothing yet."""
        self.cases += 1
        backend = DynamoDBBackend(self.store.table, client=self.store.client, timing=TIMING)
        return Called(backend, f"run-{self.cases}")

    def count(self, run: Called) -> int:
        """How many events it has."""
        return len(self.other.load_events(FLOW, run.run_id))

    def forget(self, run: Called) -> None:
        """Take it away, so that no other case has to read it."""
        name = self.store.table
        there = self.keeper.query(
            TableName=name,
            KeyConditionExpression="pk = :run",
            ExpressionAttributeValues={":run": {"S": keys.run(run.run_id).pk}},
            ProjectionExpression="pk, sk",
        )["Items"]
        for start in range(0, len(there), 25):
            gone = [{"DeleteRequest": {"Key": key}} for key in there[start : start + 25]]
            self.keeper.batch_write_item(RequestItems={name: gone})

    def check(self, run: Called, *, lists: bool = True) -> None:
        """Hold the run, where it is there, against all that is promised of it; and what the queue shows of it."""
        if self.other.run_exists(FLOW, run.run_id):
            check_run(self.other, run.run_id)
            if lists:
                check_lists(self.other, run.run_id)


@pytest.fixture
def stage(server: Server) -> Iterator[Stage]:
    with fresh_table(server, create_table) as store, clock.use(TickingClock()):
        yield Stage(store)


def check_lists(backend: DynamoDBBackend, run_id: str) -> None:
    """What can be claimed is listed, and nothing else; the next reader has cleared away what an end left."""
    run = backend.runtime.run(run_id)
    steps = stored_steps(backend, run_id)
    goes_on = run.status not in ENDED
    due_now = {name for name, step in steps.items() if step.state.status == "scheduled" and goes_on}
    assert {ref.step_id for ref in backend.list_scheduled_steps() if ref.run_id == run_id} == due_now
    assert {name for name in steps if backend.is_step_claimable(FLOW, run_id, name)} == due_now
    found = list(backend.runtime.ledger.table.query(keys.branches(run_id)))
    listed = {keys.branch_of(str(item[keys.SORT])) for item in found if keys.DUE_SHARD in item}
    assert listed - {""} == {name for name, step in steps.items() if step.live and goes_on}
    if not goes_on:
        assert all(backend.claim_scheduled_step(FLOW, run_id, name, "late") is None for name in steps)
        assert all(place.run_id != run_id for who in backend.get_active_workers().workers for place in who.active_steps)


def broken(stage: Stage, word: Word, plan: Plan) -> tuple[Called, int, Faults, BaseException | None]:
    """Say a word of a run of its own while requests break: the run, how much it had to tell before, what happened."""
    run = stage.run()
    word.before(run)
    before = stage.count(run)
    with faults(plan, stage.store.client) as injected:
        error = None
        try:
            word.say(run)
        except Crash as crash:
            error = crash
    stage.check(run, lists=error is not None or plan is nowhere)
    return run, before, injected, error


def cases(clean: Faults) -> Iterator[tuple[int, Kind]]:
    """What leaves a trace of its own: a death before all writes and after each, an answer lost; and a conflict."""
    writes = [passed.number for passed in clean.log if passed.operation in WRITES]
    yield writes[0], Kind.CRASH_BEFORE
    yield writes[-1], Kind.CONFLICT
    for number in writes:
        yield number, Kind.CRASH_AFTER
        yield number, Kind.DROP_AFTER


@pytest.mark.parametrize("word", WORDS, ids=str)
def test_a_word_is_stored_once_and_whole(stage: Stage, word: Word) -> None:
    run, before, clean, _ = broken(stage, word, nowhere)
    assert stage.count(run) == before + word.adds
    stage.forget(run)
    for number, kind in cases(clean):
        run, before, injected, error = broken(stage, word, at({number: kind}))
        assert [passed.number for passed in injected.happened] == [number]
        there = stage.count(run) - before
        what = f"{kind} at {number}, {clean.log[number - 1].operation}"
        if error is None:
            assert there == word.adds, what
        else:
            assert word.parts or there in (0, word.adds), what
            say_again(stage, word, run, was_stored=there == word.adds, what=what)
            stage.check(run, lists=False)
            assert stage.count(run) - before == word.adds + (there if word.twice else 0), what
        stage.forget(run)


def say_again(stage: Stage, word: Word, run: Called, *, was_stored: bool, what: str) -> None:
    """What a caller does whose call has failed, from another process; who was heard the first time is told so."""
    again = replace(run, backend=stage.other)
    if not (was_stored and word.again):
        word.say(again)
        return
    with pytest.raises(word.again) as caught:
        word.say(again)
    if isinstance(caught.value, StaleAttemptError):
        assert caught.value.facts["stored"], what
