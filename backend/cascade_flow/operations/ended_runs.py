"""Runs that have ended, as reports read them: once from their histories, from then on from what was kept of these.

The index says which runs have ended, and when; a digest is believed where it says the same, since whatever changes a
run that has ended moves its time there. Who may not write, or can't just now, reads histories again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from cascade_flow.analytics.digests import Digest, digest_of
from cascade_flow.dynamodb.digests import digests_since, put_digests
from cascade_flow.dynamodb.table import Table
from cascade_flow.engine.state import ENDED, Run
from cascade_flow.errors import CascadeFlowError
from cascade_flow.model.events import Event

_log = logging.getLogger(__name__)
_AT_ONCE = 500


class EndedRuns:
    """The digests of one report."""

    def __init__(self, table: Table) -> None:
        self._table = Table(table.client, table.name)  # nothing that others find by an index is written here
        self._new: list[Digest] = []

    def known(self, listed_us: Mapping[str, int], *, since_us: int) -> dict[str, Digest]:
        """Those that are kept of these runs, by run; the index has the runs under these times."""
        if not listed_us:
            return {}
        found = digests_since(self._table, since_us)
        return {digest.run_id: digest for digest in found if listed_us.get(digest.run_id) == digest.listed_us}

    def note(self, run: Run, events: Sequence[Event]) -> None:
        """Keep what reports need of a run, if it has ended: what counts of its events."""
        if run.status in ENDED and run.driver == "engine" and run.due_us is not None:
            told = digest_of(run.run_id, run.workflow_slug, events, listed_us=run.due_us, expires_s=run.expires_s)
            self._new.append(told)
        if len(self._new) == _AT_ONCE:
            self.keep()

    def keep(self) -> None:
        """Write what was noted; a report is as good where that can't be."""
        new, self._new = self._new, []
        try:
            put_digests(self._table, new)
        except CascadeFlowError as error:
            _log.info("%d runs will be read again, since what was read of them can't be kept: %s", len(new), error)
