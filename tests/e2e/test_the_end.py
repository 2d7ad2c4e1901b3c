"""What must hold of all that the session has stored; the name puts this behind the other modules."""

from __future__ import annotations

from cascade_flow import dump_event
from cascade_flow.dynamodb import due
from e2e.stack import Stack
from e2e.waiting import until
from peer import assert_peer_accepts, assert_peer_projects_as_we_do


def test_every_run_keeps_its_promises_and_the_published_peer_reads_it_as_we_do(stack: Stack) -> None:
    stack.finished(stack.submit("linear", input={"number": 1}))
    for state in stack.backend.list_runs(limit=1_000).runs:
        run = stack.finished(state.run_id, state.status)
        events = [dump_event(event) for event in run.events]
        assert stack.client.events(state.run_id) == events
        assert_peer_accepts(events)
        assert_peer_projects_as_we_do(events, state.workflow_slug)


def test_nobody_looks_after_what_has_ended(stack: Stack) -> None:
    def looked_after() -> list[due.Entry]:
        return list(due.entries(stack.backend.runtime.ledger.table, until_us=2**62))

    until(lambda: not looked_after(), otherwise=looked_after)


def test_no_wake_up_was_given_up(stack: Stack) -> None:
    assert stack.wakeups.dead() == 0
