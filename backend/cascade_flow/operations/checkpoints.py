"""The checkpoints that a step's attempts have stored or failed at, read from the run's history."""

from __future__ import annotations

from collections.abc import Iterator

from cascade_flow.engine.state import Facts
from cascade_flow.model.events import CheckpointRef, StepCheckpoint, StepCheckpointFailed
from cascade_flow.model.states import Checkpoint
from cascade_flow.operations.history import Histories, RunHistory
from cascade_flow.operations.payloads import key_in_bucket
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import dataclass

_KINDS = (StepCheckpoint, StepCheckpointFailed)


@dataclass(frozen=True)
class CheckpointNumber:
    """A number that a checkpoint has taken among those of its name; `stored` is None where its code failed."""

    place: CheckpointRef
    attempt: int
    parent: CheckpointRef | None = None
    stored: Checkpoint | None = None

    @classmethod
    def by(cls, stored: Checkpoint) -> CheckpointNumber:
        """That of a checkpoint that was stored."""
        place = CheckpointRef(name=stored.name, sequence_number=stored.sequence_number)
        return cls(place, stored.attempt_number, stored.parent_checkpoint, stored)


def recorded(runtime: Runtime, facts: Facts, step_id: str) -> Iterator[CheckpointNumber]:
    """What all attempts of a step have stored, or failed at, so far; in order."""
    histories = Histories(runtime)
    if (story := histories.outline(facts.run_id)) is not None:
        events = histories.whole(story, _told_in(story, step_id))
        yield from (_taken(event) for event in events if isinstance(event, _KINDS))


@dataclass(frozen=True)
class HandedCheckpoint:
    """A checkpoint for a worker elsewhere; with an address where its data lie in the bucket."""

    number: CheckpointNumber
    address: str | None = None


def handed_on(runtime: Runtime, facts: Facts, step_id: str) -> tuple[HandedCheckpoint, ...]:
    """The same, with nothing read from the bucket."""
    histories = Histories(runtime)
    if (story := histories.outline(facts.run_id)) is None:
        return ()
    events = histories.whole(story, _told_in(story, step_id), bucket=False)
    found = [event for event in events if isinstance(event, _KINDS)]
    return tuple(HandedCheckpoint(_taken(event), _address(runtime, story, event)) for event in found)


def _told_in(story: RunHistory, step_id: str) -> list[StepCheckpoint | StepCheckpointFailed]:
    return [event for event in story.events if isinstance(event, _KINDS) and event.step_id == step_id]


def _address(runtime: Runtime, story: RunHistory, event: StepCheckpoint | StepCheckpointFailed) -> str | None:
    place = story.aside.get(event.timestamp_us, {}).get("data", "")
    key = key_in_bucket(place)
    return key and runtime.payloads.address(key)


def _taken(event: StepCheckpoint | StepCheckpointFailed) -> CheckpointNumber:
    if isinstance(event, StepCheckpoint):
        return CheckpointNumber.by(Checkpoint(**{name: getattr(event, name) for name in Checkpoint.model_fields}))
    place = CheckpointRef(name=event.name, sequence_number=event.sequence_number)
    return CheckpointNumber(place, event.attempt_number, event.parent_checkpoint)
