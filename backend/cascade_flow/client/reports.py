"""What happened in a range of time, and what is under way now: reports, groups of errors, workers."""

from __future__ import annotations

from typing import Any

from cascade_flow.client.asking import Asks, Json, part, place

_CALLED = {"workflow_slug": "workflow", "step_id": "step", "run_ids": "run"}


class ReportMethods(Asks):
    """The analytics of the API. Times are microseconds; without a range it is the last 24 hours."""

    def report(self, name: str, **options: Any) -> Json:
        """A report by its name in the API: `summary`, `throughput`, `step-durations`, `queue-depth`...

        The options of most are start_us, end_us, workflow_slug, step_id and run_ids. Raises ReportTooLargeError where
        the range holds more than can be read at a time.
        """
        return self._get(f"/analytics/{part(name)}", _asked(options))

    def errors(self, **options: Any) -> Json:
        """The failures by fingerprint, the most frequent first: `{errors, total}`.

        Options: start_us, end_us, workflow_slug, grouping, limit and offset. Raises as `report`.
        """
        return self.report("errors", **options)

    def error(self, fingerprint: str, **options: Any) -> Json:
        """The failures with one fingerprint, newest first. Options: start_us, end_us, grouping, limit and offset.

        Raises as `report`; InvalidIdError where it is no fingerprint.
        """
        return self._get(f"/analytics/errors/{part(fingerprint)}", _asked(options))

    def workers(self, *, include_inactive: bool = False, stale_after_us: int | None = None) -> Json:
        """Who works on runs that are running: `{workers, totalActiveWorkers, totalRunningSteps, staleThresholdUs}`."""
        wish = {"includeInactive": "true" if include_inactive else None, "staleAfterUs": stale_after_us}
        pages = list(self._pages("/workers", wish))
        found = {**pages[0], "workers": [worker for page in pages for worker in page["workers"]]}
        return {name: value for name, value in found.items() if name != "nextCursor"}

    def worker(self, worker_id: str) -> Json:
        """One of them, however long ago it was seen. Raises WorkerNotFoundError."""
        return self._get(f"/workers/{place(worker_id)}")


def _asked(options: dict[str, Any]) -> dict[str, Any]:
    return {_CALLED.get(name) or _camel(name): value for name, value in options.items()}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return "".join([first, *map(str.capitalize, others)])
