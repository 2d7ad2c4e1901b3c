"""The sweep: looks at everything that is past due and does what somebody should have done (protocol.md §8).

It is safe to run twice at once and to die at any point: what it finds is read again, and every write is conditional.
Fifty items are read by one request, and dealt with in as many lanes as there are. Wake-ups make way for all else: they
are gathered, for half of the time at the most, and sent ten at a time, the most urgent first. Where a shard holds more
than a page, another reaper is called out for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from heapq import merge
from itertools import islice
from operator import attrgetter

from cascade_flow import clock
from cascade_flow.dynamodb import due
from cascade_flow.dynamodb.changes import BranchRefused, RunRefused
from cascade_flow.errors import StaleAttemptError, TransientError
from cascade_flow.operations.attention import Attention, Call, Reads, Unanswered, unseen
from cascade_flow.operations.lanes import Lanes, OneByOne
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.tally import Failure, Swept, Tally

__all__ = ["Failure", "Sweep", "Swept"]

CallOut = Callable[[str, int], bool]
"""Asks another reaper to sweep a shard until a time; whether that was taken."""
_BATCH = 50
"""Entries that are read at once, each with its run: a batch read takes a hundred keys."""
_SENT = 10
_GATHERED = 20_000
"""Wake-ups that are kept before they are sent: some 20 MB, if no branch holds its tail."""


def _nobody(shard: str, until_us: int) -> bool:
    return False


class Sweep:
    """One look at all that is past due, or at some shards of it."""

    def __init__(self, runtime: Runtime, *, name: str, lanes: Lanes | None = None, call_out: CallOut = _nobody) -> None:
        self._runtime = runtime
        self._name = name
        self._lanes = lanes or OneByOne()
        self._call_out = call_out
        self._begin()

    def _begin(self) -> None:
        self._tally = Tally()
        self._attention = Attention(self._runtime, self._tally, name=self._name)

    def sweep(self, *, until_us: int, shards: Sequence[str] = ()) -> Swept:
        """Act on what is past due, oldest first, until `until_us`."""
        self._begin()
        begun_us = clock.now_us()
        table = self._runtime.ledger.table
        lines = [due.line(table, shard, until_us=begun_us) for shard in shards or due.due_shards(table)]
        mine = self._share(lines, until_us)
        found = iter(merge(*mine))
        while group := self._next(found, until_us):
            self._gather(group, found, until_us)
            self._send(until_us)
        pools_us = {} if shards else self._waits_us(begun_us)
        took_us = clock.now_us() - begun_us
        return self._tally.swept(took_us=took_us, called_out=len(lines) - len(mine), pools_us=pools_us)

    def _waits_us(self, now_us: int) -> dict[str, int]:
        """How long pools' steps have waited; a table too busy to say so does not undo the sweep."""
        with suppress(TransientError):
            return due.waits_us(self._runtime.ledger.table, now_us=now_us)
        return {}

    def attend(self, run_id: str, branch: str) -> None:
        """Look at one branch, or at a run (no branch), whatever the index says."""
        self._attention.attend(unseen(run_id, branch), self._runtime.ledger)
        self._attention.send(self._attention.taken_calls())

    def _share(self, lines: list[due.Line], until_us: int) -> list[due.Line]:
        """What is swept here: all but the long lines that others are called out for. The one with the oldest entry
        stays, so that it goes on also where nobody comes.
        """
        long = sorted((line for line in lines if line.is_long), key=lambda line: line.first[0])
        gone = {line.shard for line in long[1:] if self._call_out(line.shard, until_us)}
        return [line for line in lines if line.shard not in gone]

    def _next(self, found: Iterator[due.Entry], until_us: int) -> list[due.Entry]:
        group = list(islice(found, _BATCH * self._lanes.width))
        if group and self._is_over(until_us):
            return []
        return group

    def _gather(self, group: list[due.Entry], found: Iterator[due.Entry], until_us: int) -> None:
        """Deal with all that is no wake-up, and keep those: until they are many, or half of the time is over."""
        half_us = (clock.now_us() + until_us) // 2
        while group:
            self._attend_all(group, until_us)
            enough = len(self._attention.calls) >= _GATHERED or clock.now_us() > half_us
            group = [] if enough else self._next(found, until_us)

    def _attend_all(self, group: list[due.Entry], until_us: int) -> None:
        batches = [group[start : start + _BATCH] for start in range(0, len(group), _BATCH)]
        read = self._lanes.each(self._read, batches)
        known = [(entry, reads) for batch, reads in zip(batches, read, strict=True) for entry in batch]
        self._lanes.each(partial(self._attend, until_us), known)

    def _read(self, batch: Sequence[due.Entry]) -> Reads:
        """These items and their runs, by one request; by one each where one of them is such that nobody can read it."""
        try:
            return self._runtime.ledger.snapshot((each.run_id, each.branch) for each in batch if not each.is_schedule)
        except TransientError as error:
            return Unanswered(error)
        except Exception:  # noqa: BLE001  whichever it is will say so when it is read on its own
            return self._runtime.ledger

    def _attend(self, until_us: int, found: tuple[due.Entry, Reads]) -> None:
        """One entry that can't be dealt with now must not keep the others waiting, in no later sweep either."""
        if self._is_over(until_us):
            return
        entry, reads = found
        self._tally.count("looked at")
        try:
            self._attention.attend(entry, reads)
        except (TransientError, StaleAttemptError, BranchRefused, RunRefused) as error:
            self._tally.note("left for later", entry.run_id, entry.branch, error)
        except Exception as error:  # noqa: BLE001  one item that nobody foresaw must not end the sweep of all
            self._tally.fail(entry.run_id, entry.branch, error)
            self._attention.put_off(entry)

    def _send(self, until_us: int) -> None:
        calls = sorted(self._attention.taken_calls(), key=attrgetter("rank"))
        tens = [calls[start : start + _SENT] for start in range(0, len(calls), _SENT)]
        self._lanes.each(partial(self._send_ten, until_us), tens)

    def _send_ten(self, until_us: int, calls: list[Call]) -> None:
        if self._is_over(until_us):
            return
        try:
            self._attention.send(calls)
        except TransientError as error:
            self._tally.note("left for later", calls[0].entry.run_id, calls[0].entry.branch, error)

    def _is_over(self, until_us: int) -> bool:
        """Whether there is no more time for what is there."""
        over = clock.now_us() >= until_us
        if over:
            self._tally.leave()
        return over
