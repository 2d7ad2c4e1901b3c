"""What a wish for a run may hold, and for the end of one."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from cascade_flow import clock
from cascade_flow.api.documents import rejected
from cascade_flow.api.shapes import YEAR_US, Headers, Metadata, Name, NewRunId, Priority, Shape, Slug, Tags, TimeUs
from cascade_flow.model.wire import Whole
from cascade_flow.model.workflows import RunSubmission

LONGEST_REASON = 1_000


class Keyed(Shape):
    """A wish that is known again by a key of the sender's."""

    idempotency_key: Name | None = None
    """The same with the same key changes nothing; something else with it is refused (409)."""

    def keyed(self, key: str | None) -> Self:
        """The same; its idempotency key may stand in the header as well. Raises RequestInvalidError."""
        if key is None or key == self.idempotency_key:
            return self
        if self.idempotency_key is not None:
            raise rejected("is not the key in the header Idempotency-Key: send one of the two", path="idempotencyKey")
        return self.model_copy(update={"idempotency_key": key})


class NewRun(Keyed):
    """A wish for a run."""

    input: Any = None
    """What the workflow is given; it must match the workflow's input schema."""
    run_id: NewRunId | None = None
    """The run's id, where it isn't to be chosen by the service."""
    available_at_us: TimeUs | None = None
    """When the run may start, at most a year ahead; at once where neither this nor `delayUs` is given."""
    delay_us: Annotated[Whole, Field(ge=0, le=YEAR_US)] | None = None
    """How long the run has to wait before it may start; it can't stand beside `availableAtUs`."""
    priority: Priority | None = None
    """Above 0 the run is urgent: Lambda keeps workers for it (`UrgentConcurrency`), so it overtakes what waits. Below 0
    it waits as at 0. A pool's steps, and those that workers ask for here, are given in its order, higher first."""
    timeout_us: Annotated[Whole, Field(ge=1_000, le=YEAR_US)] | None = None
    """How long the run may last; it fails when that is over."""
    idempotency_key: Name | None = None
    """The same submission with the same key makes no second run; another with it is refused (409)."""
    metadata: Metadata | None = None
    """Whatever helps you to know the run again, up to 8 KB of JSON."""
    tags: Tags | None = None
    """What runs can be found by."""

    @field_validator("delay_us")
    @classmethod
    def _instead_of_a_time(cls, delay_us: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("available_at_us") is not None:
            raise PydanticCustomError("two_times", "stands beside availableAtUs: give one of the two")
        return delay_us

    def submission_of(self, workflow_slug: str) -> RunSubmission:
        """What the backend takes."""
        return RunSubmission(
            workflow_slug=workflow_slug,
            input=self.input,
            run_id=self.run_id,
            available_at=self._due_us(),
            priority=self.priority,
            timeout=self.timeout_us,
            idempotency_key=self.idempotency_key,
            metadata=self.metadata,
            tags=self.tags,
        )

    def _due_us(self) -> int | None:
        return self.available_at_us if self.delay_us is None else clock.now_us() + self.delay_us


class SubmitRun(NewRun):
    """A wish for a run of a workflow that it names."""

    workflow_slug: Slug


class Submission(Headers):
    """POST /runs, and whatever else is known again by a key."""

    idempotency_key: Name | None = None
    """Stands for `idempotencyKey` in the body; one of the two is enough."""


class CancelRun(Shape):
    """Why a run is stopped."""

    reason: Annotated[str, Field(max_length=LONGEST_REASON)] | None = None
    """For people; it is shown with the run."""


class SendEvent(Keyed):
    """What has happened outside."""

    data: Any = None
    """What the event brings; it must match the event's schema."""
