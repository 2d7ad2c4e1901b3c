"""The service itself: whether it works, of what version it is, and what its queue gave up."""

from __future__ import annotations

from cascade_flow.client.asking import Asks, Json


class ServiceMethods(Asks):
    """What is asked by whoever runs a stack."""

    def health(self) -> Json:
        """`{status, checks}` of an engine that works. Raises UnhealthyError, whose facts say what doesn't."""
        return self._get("/health")

    def version_of_engine(self) -> Json:
        """The engine's own version."""
        return self._get("/version")

    def dead_letters(self, *, limit: int | None = None) -> Json:
        """Wake-ups that failed again and again: `{deadLetters, approximateCount}`; looking changes nothing."""
        return self._get("/dead-letters", {"limit": limit})

    def redrive(self, *, limit: int | None = None) -> Json:
        """Send them to the queue again, `limit` at most: `{count, remaining}`."""
        return self._post("/dead-letters/redrive", {"limit": limit})
