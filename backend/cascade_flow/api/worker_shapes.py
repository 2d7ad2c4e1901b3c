"""What a worker elsewhere says of its attempt, but that it lives: imported where somebody says it (`worker_routes`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from cascade_flow import clock
from cascade_flow.api.heartbeat_shapes import AttemptReport
from cascade_flow.api.shapes import YEAR_US, Name, Shape, TimeUs
from cascade_flow.engine.commands import KeepCheckpoint
from cascade_flow.model.events import CheckpointRef, ResourceUsage
from cascade_flow.model.parts import LogStream, StepError
from cascade_flow.model.wire import Count, JsonObject, Ordinal
from cascade_flow.operations.steps import Slot

LARGEST_VALUE_BYTES = 5 * 1024 * 1024
LARGEST_WORDS_BYTES = 1024 * 1024
DEEPEST_VALUE = 100
"""What is deeper is not stored: JSON readers give up at some 200."""
MOST_LINES_AT_ONCE = 2_000
LONGEST_LINE = 10_000
LONGEST_WORDS = 4_000
LONGEST_STACK = 16_000


def _shortened(longest: int) -> AfterValidator:
    """A failure that is told at length is told all the same."""
    return AfterValidator(lambda text: text if len(text) <= longest else f"{text[: longest - 1]}…")


def _text(value: Any) -> str:
    """What came as JSON, as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


Words = Annotated[str, _shortened(LONGEST_WORDS)]


class Line(Shape):
    """A line of an attempt's log."""

    message: Annotated[str, Field(max_length=LONGEST_LINE)]
    stream: LogStream = "stdout"
    timestamp_us: TimeUs | None = None
    """When it was written, later than `startedAtUs` of the claim; without it, now."""


class WriteLogs(AttemptReport):
    """Lines that the attempt has written."""

    largest_bytes: ClassVar[int] = LARGEST_WORDS_BYTES
    lines: Annotated[list[Line], Field(min_length=1, max_length=MOST_LINES_AT_ONCE)]

    @property
    def timed(self) -> Sequence[tuple[int, str, str]]:
        now = count(clock.now_us())
        return [
            (us if (us := line.timestamp_us) is not None else next(now), line.stream, line.message)
            for line in self.lines
        ]


class FailureTold(Shape):
    """What went wrong, as the worker's language calls it."""

    message: Words
    """What happened; what is longer than 4,000 characters is cut."""
    name: Words | None = None
    """The error's kind, such as `ValueError`."""
    stack: Annotated[str, _shortened(LONGEST_STACK)] | None = None
    """Where it came from, as people read it; 16,000 characters of it are kept."""
    code: Annotated[str, Field(max_length=200)] | None = None
    """A further name that some languages have for it (`ECONNRESET`): it is told with the message."""

    @property
    def error(self) -> StepError:
        known = self.code is None or self.code in self.message
        return StepError(
            message=self.message if known else f"{self.message} ({self.code})", name=self.name, stack=self.stack
        )


class Place(Shape):
    """A checkpoint of the same step."""

    name: Name
    sequence: Count
    """Its number among those of its name, from 0."""

    @property
    def reference(self) -> CheckpointRef:
        return CheckpointRef(name=self.name, sequence_number=self.sequence)


class StoreCheckpoint(AttemptReport):
    """A part of the work that is done, or that failed."""

    largest_bytes: ClassVar[int] = LARGEST_VALUE_BYTES
    deepest: ClassVar[int] = DEEPEST_VALUE
    name: Name
    """What the part does."""
    sequence: Count = 0
    """Its number among those of its name: the second time that a step comes to the same name it is 1."""
    data: Any = None
    """What it has given."""
    error: FailureTold | None = None
    """That it failed, and with what; then it has no data."""
    label: Words | None = None
    """What people see of it."""
    parent: Place | None = None
    """The checkpoint that it is a part of."""

    @property
    def command(self) -> KeepCheckpoint:
        return KeepCheckpoint(
            self.name,
            self.sequence,
            None if self.error else _text(self.data),
            error=None if self.error is None else self.error.error,
            label=self.label,
            parent=None if self.parent is None else self.parent.reference,
        )


class Usage(Shape):
    """What an attempt has used, from its start to its end."""

    peak_memory_bytes: Count
    cpu_time_user_us: Count
    cpu_time_system_us: Count
    cpu_time_total_us: Count
    voluntary_context_switches: Count = 0
    involuntary_context_switches: Count = 0


class EndReport(AttemptReport):
    """An attempt is over."""

    duration_us: Count | None = None
    """How long the work took; without it, the time since the claim."""
    resource_usage: Usage | None = None
    last_log_us: TimeUs = 0
    """The time of the newest line of its log: the attempt's end is later, whatever the clocks say."""

    @property
    def usage(self) -> ResourceUsage | None:
        return None if self.resource_usage is None else ResourceUsage(**self.resource_usage.model_dump())


class CompleteStep(EndReport):
    """The step returned."""

    largest_bytes: ClassVar[int] = LARGEST_VALUE_BYTES
    deepest: ClassVar[int] = DEEPEST_VALUE
    output: Any = None
    """Any JSON: what the steps that depend on this one are given."""
    claim_next: bool = False
    """Claim the step that comes next on the same branch, if it is for the same workers: a request less."""
    slot_index: Count | None = None
    worker_concurrency: Ordinal | None = None

    @property
    def text(self) -> str:
        """The output as it is stored."""
        return _text(self.output)

    @property
    def next_slot(self) -> Slot | None:
        return Slot(self.slot_index, self.worker_concurrency) if self.claim_next else None


class FailStep(EndReport):
    """The step failed."""

    largest_bytes: ClassVar[int] = LARGEST_WORDS_BYTES
    error: FailureTold
    retryable: bool = True
    """Whether the step's retry policy may try it again."""
    reason: Literal["execution-error", "timeout", "step-removed", "worker-crash"] = "execution-error"


class SkipStep(EndReport):
    """There is nothing to do."""

    reason: Words
    metadata: JsonObject | None = None
    """What else is worth keeping."""


class PostponeStep(EndReport):
    """The step isn't ready."""

    reason: Words = "not ready"
    """Why, for people."""
    delay_us: Annotated[int, Field(ge=1, le=YEAR_US)] | None = None
    """How long from now it comes again; after a second at the earliest."""
    available_at_us: TimeUs | None = None
    """When it comes again, instead. Without either it is as the step declares (`pollEveryUs`)."""


class ReleaseStep(AttemptReport):
    """The worker gives the attempt up."""
