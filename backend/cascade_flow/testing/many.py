"""Many runs submitted by a test, each answered for itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cascade_flow.authoring import Workflow
from cascade_flow.errors import CascadeFlowError
from cascade_flow.testing.results import Result


class SubmitsMany:
    """What submits one run, and so many."""

    def submit_many(self, workflow: Workflow, runs: Iterable[Mapping[str, Any]]) -> list[Result | CascadeFlowError]:
        """Submit runs, each of which says what `submit` takes: `{"input": {...}, "idempotency_key": "k"}`.

        One that is refused stands there as its error, and loses no other.
        """
        return [self._tried(workflow, run) for run in runs]

    def _tried(self, workflow: Workflow, run: Mapping[str, Any]) -> Result | CascadeFlowError:
        try:
            return self._submitted(workflow, run)
        except CascadeFlowError as error:
            return error

    def _submitted(self, workflow: Workflow, run: Mapping[str, Any]) -> Result:
        """Raises whatever a submission does."""
        raise NotImplementedError
