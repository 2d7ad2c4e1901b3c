"""Where a test's runs are played: what `Engine` asks of the world in this process, and of a deployed stack."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from cascade_flow.authoring import Workflow
from cascade_flow.model.events import Event
from cascade_flow.testing.stage import Plan, Raised


class Line(NamedTuple):
    """A line of an attempt's log."""

    step_id: str
    attempt: int
    message: str


@dataclass(frozen=True)
class Story:
    """All that happened in a run so far; and, where that is known, what its code raised, by step and attempt. Which run
    undoes it, if one does.
    """

    events: Sequence[Event]
    lines: Sequence[Line]
    raised: Mapping[tuple[str, int], Raised] | None
    undone_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A submission; its input is what JSON holds."""

    workflow: Workflow
    input: Any
    delay_us: int
    priority: int | None
    timeout_us: int | None
    idempotency_key: str | None
    metadata: dict[str, Any] | None
    tags: list[str] | None


class Place(Protocol):
    """Plays runs. `may_plan` refuses what a place can't do: it raises, or skips the test."""

    def may_plan(self, what: str) -> None: ...

    def know(self, workflow: Workflow) -> None:
        """Let other workflows run this one."""

    def children(self, run_id: str, step_id: str) -> list[str]:
        """The ids of the runs that do a step's work, in order, so far as they have begun."""

    def submit(self, wish: Wish, plan: Plan) -> str: ...

    def retry(self, run_id: str, plan: Plan, reason: str | None) -> None: ...

    def resume(self, run_id: str, workflow: Workflow, plan: Plan) -> str: ...

    def rerun(self, run_id: str, workflow: Workflow, plan: Plan, *, from_step: str, input: Any) -> str: ...

    def send(self, run_id: str, event: str, data: Any, key: str | None) -> None: ...

    def cancel(self, run_id: str, reason: str | None) -> None: ...

    def tick(self, workflow: Workflow, schedule: str, plan: Plan) -> str:
        """Let time pass until a schedule's next time, and have the run of it submitted."""

    def settle(self, run_ids: Collection[str]) -> None:
        """Let time pass until these runs have ended."""

    def advance_us(self, us: int) -> None: ...

    def now_us(self) -> int: ...

    def story(self, run_id: str) -> Story: ...

    def close(self) -> None: ...
