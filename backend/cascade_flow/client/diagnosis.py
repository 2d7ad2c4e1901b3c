"""Why runs stand where they stand, and what a deployment would do to those under way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cascade_flow.client.asking import Asks, Json, part


class DiagnosisMethods(Asks):
    """What is asked when something doesn't go on, or before a deployment."""

    def diagnosis(self, run_id: str) -> Json:
        """Why a run stands where it stands: `{runId, isWell, findings, engine}`. Raises RunNotFoundError."""
        return self._get(f"/runs/{part(run_id)}/diagnosis")

    def diagnoses(self, *, limit: int | None = None) -> Iterator[Json]:
        """The runs that are late or stuck, piece by piece, what is late first: `{runs, engine, lookedAt}`."""
        return self._pages("/diagnosis", {"limit": limit})

    def preflight(self, workflows: Sequence[Json]) -> Iterator[Json]:
        """What deploying `{workflowSlug, versionId, stepIds}` would do to the runs under way, piece by piece:
        `{unaffected, changed, broken}`.
        """
        piece = self._post("/preflight", {"workflows": workflows})
        yield piece
        while "nextCursor" in piece:
            piece = self._post("/preflight", {"workflows": workflows, "cursor": piece["nextCursor"]})
            yield piece
