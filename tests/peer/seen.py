"""What the peer knew at a moment of a sequence: its runs and their events, as it tells of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cascade_flow import StepState, parse_event, project_step_state
from peer.operations import Call
from peer.oracle import Answer

ENDED = ("completed", "failed", "cancelled")
WireEvent = Mapping[str, Any]


@dataclass(frozen=True)
class RunSeen:
    """A run of the peer's. `state` is None until it was submitted."""

    slug: str
    exists: bool
    state: Mapping[str, Any] | None
    events: Sequence[WireEvent]

    @property
    def status(self) -> str:
        return "" if self.state is None else str(self.state["status"])

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @cached_property
    def by_step(self) -> Mapping[str, Sequence[WireEvent]]:
        """Its step events, by step."""
        steps = dict.fromkeys(event["stepId"] for event in self.events if event["category"] == "step")
        return {step_id: [e for e in self.events if e.get("stepId") == step_id] for step_id in steps}

    def step(self, step_id: str) -> StepState | None:
        """Where a step stands; how events are folded is no matter here (`test_histories_agree`)."""
        events: list[Any] = [parse_event(event) for event in self.by_step.get(step_id, ())]
        return project_step_state(events, self.slug) if events else None

    def given_up(self, step_id: str) -> bool:
        """Whether the current attempt of a step has failed or was reclaimed, and nothing has begun since."""
        lost, current = False, 1
        for event in self.by_step.get(step_id, ()):
            if event["type"] in ("StepScheduled", "StepStarted"):
                lost, current = False, event["attemptNumber"]
            elif event["type"] in ("StepFailed", "StepReclaimed") and event["attemptNumber"] >= current:
                lost = True
            elif event["type"] in ("StepCompleted", "StepSkipped"):
                lost = lost and event["attemptNumber"] < current
        return lost


class Seen(dict[str, RunSeen]):
    """The peer's runs by id; and how many versions it knows of each workflow that was registered."""

    def __init__(self, runs: Mapping[str, RunSeen], registered: Mapping[str, int]) -> None:
        super().__init__(runs)
        self.registered = registered


def calls_to_see(runs: Mapping[str, str]) -> Iterator[Call]:
    """The calls that `seen` reads, for these runs (each with its workflow)."""
    for run_id, slug in runs.items():
        yield from (["runExists", slug, run_id], ["getRun", run_id], ["loadEvents", slug, run_id])
    for slug in dict.fromkeys(runs.values()):
        yield from (["getWorkflowMetadata", slug], ["listWorkflowVersions", slug])


def seen(runs: Mapping[str, str], answers: Sequence[Answer]) -> Seen:
    """What the answers to these calls tell."""
    told = iter([answer.value for answer in answers])
    found = {run_id: RunSeen(slug, next(told), next(told), next(told)) for run_id, slug in runs.items()}
    workflows = {slug: (next(told), next(told)) for slug in dict.fromkeys(runs.values())}
    return Seen(found, {slug: len(versions) for slug, (metadata, versions) in workflows.items() if metadata})
