"""Schedules: when runs begin by themselves, and what people do about it."""

from __future__ import annotations

from collections.abc import Iterator

from cascade_flow.client.asking import Asks, Json, part


class ScheduleMethods(Asks):
    """What is asked of schedules."""

    def schedules(self, workflow_slug: str | None = None) -> list[Json]:
        """The schedules that workflows declare, or one workflow's: with their next times, without their inputs."""
        found: list[Json] = self._get("/schedules", {"workflow": workflow_slug})["schedules"]
        return found

    def schedule(self, workflow_slug: str, name: str) -> Json:
        """A schedule with its input. Raises ScheduleNotFoundError."""
        return self._get(_place(workflow_slug, name))

    def pause_schedule(self, workflow_slug: str, name: str) -> Json:
        """Let no run begin by it until it is resumed; the answer is the schedule. Raises ScheduleNotFoundError."""
        return self._post(f"{_place(workflow_slug, name)}/pause", {}, again=True)

    def resume_schedule(self, workflow_slug: str, name: str) -> Json:
        """Take it up again; the answer is the schedule. Raises ScheduleNotFoundError."""
        return self._post(f"{_place(workflow_slug, name)}/resume", {}, again=True)

    def trigger_schedule(self, workflow_slug: str, name: str) -> Json:
        """A run with its input, now: `{runId, isNew}`. Raises ScheduleNotFoundError, and as `submit`."""
        return self._post(f"{_place(workflow_slug, name)}/trigger", {})

    def backfill_schedule(
        self, workflow_slug: str, name: str, *, from_us: int, until_us: int, limit: int | None = None
    ) -> Iterator[Json]:
        """Runs for its times of a range that is past, piece by piece: `{runs: [{timeUs, runId, isNew}]}`.

        A time that has a run keeps it, so doing it again does no harm. Raises ScheduleNotFoundError, and as `submit`.
        """
        wish, path = {"fromUs": from_us, "untilUs": until_us, "limit": limit}, f"{_place(workflow_slug, name)}/backfill"
        piece = self._post(path, wish, again=True)
        yield piece
        while "moreFromUs" in piece:
            piece = self._post(path, {**wish, "fromUs": piece["moreFromUs"]}, again=True)
            yield piece


def _place(workflow_slug: str, name: str) -> str:
    return f"/workflows/{part(workflow_slug)}/schedules/{part(name)}"
