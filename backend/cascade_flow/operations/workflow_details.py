"""A registered workflow as people look at it: its versions, and what their code says to people."""

from __future__ import annotations

from collections.abc import Mapping

from cascade_flow.dynamodb.registry import Entry
from cascade_flow.model.workflows import StepDefinition, StepNote, WorkflowNotes, WorkflowVersion
from cascade_flow.records import dataclass


@dataclass(frozen=True)
class WorkflowDetails:
    """A registered workflow and its versions, oldest first."""

    entry: Entry
    versions: tuple[WorkflowVersion, ...]
    notes: Mapping[str, WorkflowNotes]

    @property
    def current(self) -> VersionDetails | None:
        """The version that new runs get."""
        return self.version(self.entry.version_id)

    def version(self, version_id: str) -> VersionDetails | None:
        found = next((version for version in self.versions if version.version_id == version_id), None)
        return None if found is None else VersionDetails(found, self.notes.get(version_id, WorkflowNotes()))


@dataclass(frozen=True)
class VersionDetails:
    """A version, and what its code says to people."""

    version: WorkflowVersion
    notes: WorkflowNotes

    @property
    def steps(self) -> list[tuple[StepDefinition, StepNote]]:
        return [(step, self.notes.steps.get(step.id, StepNote())) for step in self.version.steps]
