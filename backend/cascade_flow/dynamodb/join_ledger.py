"""The writes of those who arrive at a join, and of who looks at it while others are on their way (protocol.md §6)."""

from __future__ import annotations

from contextlib import suppress

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.changes import BranchRefused, raising
from cascade_flow.dynamodb.items import to_branch
from cascade_flow.dynamodb.table import Attr, Refused, Table, Update
from cascade_flow.engine.joins import is_full
from cascade_flow.engine.state import Branch, Facts


class JoinLedger:
    """The joins in one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def raise_join(self, facts: Facts, join: str, *, arrivals: int, now_us: int) -> bool:
        """Count arrivals at a join, and give birth to it where it is the first; a refusal is harmless. Answers whether
        as many have been counted as it waits for.

        Who fills it may die before anybody has looked, so somebody must look soon, however rarely they did till now.
        """
        soon_us = now_us + facts.timing.grace_us
        write = raising(facts, join, arrivals=arrivals, soon_us=soon_us)
        with suppress(Refused):
            raised = to_branch(self._table.write([write]))
            if is_full(facts.graph, raised):
                self._bring_forward(write.key, raised, soon_us)
                return True
        return False

    def _bring_forward(self, key: keys.Key, join: Branch, soon_us: int) -> None:
        if (join.due_us or 0) > soon_us:
            seen = Attr(keys.DUE_TIME).eq(join.due_us)
            with suppress(Refused):
                self._table.write([Update(key, seen, set={keys.DUE_TIME: soon_us}, blind=True)])

    def ask_to_look(self, run_id: str, late: Branch) -> None:
        """Ask who is at work on a branch to look at the join that it arrives at; raises BranchRefused where the branch
        was claimed or committed to since it was read.
        """
        as_read = Attr("sq").eq(late.seq)
        try:
            self._table.write([Update(keys.branch(run_id, late.name), as_read, set={"lo": 1}, blind=True)])
        except Refused:
            raise BranchRefused(None) from None
