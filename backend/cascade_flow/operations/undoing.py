"""Runs that undo others: made with the end of a run that failed or was cancelled, and given what is to be undone."""

from __future__ import annotations

import secrets

from cascade_flow.dynamodb.codec import references_of
from cascade_flow.dynamodb.undoing import completions
from cascade_flow.engine.state import Facts, Run
from cascade_flow.engine.undo import UndoBirth, undo_run, undoing
from cascade_flow.model.events import WorkflowEvent
from cascade_flow.operations.payloads import key_in_bucket
from cascade_flow.operations.runtime import Runtime


class Undos:
    """What undoes the runs of one table."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def birth(self, facts: Facts, run: Run, end: WorkflowEvent) -> UndoBirth | None:
        """The run that is to undo one that ends with this event, nothing of which is live; None where it did nothing
        that can be undone.
        """
        found = undoing(facts.graph, run.run_id, completions(self._runtime.ledger.table, run.run_id))
        if found is None:
            return None
        run_id, input = secrets.token_hex(8), references_of(run.tail[0])
        for place in input.values():
            if key_in_bucket(place) is None:
                self._runtime.payloads.copy(run.run_id, run_id, place, expires_s=facts.expires_s)
        return undo_run(facts, run, found, end, run_id=run_id, input=input)
