"""What a request for many runs may hold: each is read for itself, so that one that can't be read loses no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field, WrapValidator

from cascade_flow.api import documents
from cascade_flow.api.shapes import Shape, Slug
from cascade_flow.api.submission_shapes import NewRun
from cascade_flow.errors import CascadeFlowError
from cascade_flow.model.workflows import RunSubmission

MOST_AT_ONCE = 1_000
LARGEST_BATCH_BYTES = 5 * 1024 * 1024


class OneOfMany(NewRun):
    """A wish for a run among others; as large as one that is sent alone may be."""

    workflow_slug: Slug | None = None
    """The run's workflow, where it is another one than that of the others."""


def _read(wish: Any, _: object) -> OneOfMany | CascadeFlowError:
    try:
        documents.check_sound(wish)
        documents.check_size(len(json.dumps(wish, ensure_ascii=False).encode()), called="this run")
        return OneOfMany.of(wish)
    except CascadeFlowError as error:
        return error


class SubmitRuns(Shape):
    """Wishes for runs."""

    largest_bytes: ClassVar[int] = LARGEST_BATCH_BYTES
    if_too_large: ClassVar[str] = "send fewer runs at once"
    apart: ClassVar[str | None] = "runs"
    workflow_slug: Slug | None = None
    """The workflow of those runs that name none."""
    runs: Annotated[
        list[Annotated[OneOfMany | Any, WrapValidator(_read)]], Field(min_length=1, max_length=MOST_AT_ONCE)
    ]
    """The runs, each as `POST /runs` takes it. One that is something else is refused by itself, in the answer."""

    def wishes(self) -> Iterator[RunSubmission | CascadeFlowError]:
        """What each asks for, or why that can't be read."""
        for wish in self.runs:
            yield wish if isinstance(wish, CascadeFlowError) else self._meant(wish)

    def _meant(self, wish: OneOfMany) -> RunSubmission | CascadeFlowError:
        if slug := wish.workflow_slug or self.workflow_slug:
            return wish.submission_of(slug)
        return documents.rejected("is missing: name it here, or once for all runs", path="workflowSlug")
