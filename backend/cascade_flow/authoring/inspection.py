"""A package of workflows looked at in a process of its own, which its modules may end, flood or hold up as they like.

The process is started with a package's name. Its stdout has a line for each module before it is imported, and at last
the report; what the modules print goes to stderr.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TextIO

from cascade_flow.authoring.discovery import survey
from cascade_flow.authoring.mistakes import Mistake, Place
from cascade_flow.authoring.workflow import Workflow
from cascade_flow.model.wire import Count, Ordinal, Text, WireModel


class Declared(WireModel):
    """A workflow, as far as a person wants to see it listed, and what of it runs under way depend on."""

    workflow_slug: Text
    name: Text
    location: Text
    steps: Count
    version_id: Text
    step_ids: list[Text]

    @classmethod
    def of(cls, workflow: Workflow) -> Declared:
        registered = workflow.registration()
        step_ids = list(workflow.definition().codes)
        return cls(
            workflow_slug=registered.slug,
            name=registered.name,
            location=registered.location or "",
            steps=len(registered.steps),
            version_id=workflow.definition().version_id,
            step_ids=step_ids,
        )


class Wrong(WireModel):
    """A mistake, as it travels."""

    message: Text
    file: Text | None = None
    line: Ordinal | None = None

    @classmethod
    def of(cls, mistake: Mistake) -> Wrong:
        place = mistake.place
        if place is None:
            return cls(message=mistake.message)
        return cls(message=mistake.message, file=place.file, line=max(1, place.line))

    @property
    def mistake(self) -> Mistake:
        return Mistake(self.message, Place(self.file, self.line or 1) if self.file else None)


class Report(WireModel):
    """All workflows of a package, or all of its mistakes."""

    workflows: list[Declared]
    mistakes: list[Wrong]


def report(package: str, answers: TextIO) -> Report:
    """Look at the package, here and now; each module is named in `answers` before it is imported."""
    found = survey(package, importing=lambda module: print(module, file=answers, flush=True))
    if found.mistakes:
        return Report(workflows=[], mistakes=[Wrong.of(mistake) for mistake in found.mistakes])
    return Report(workflows=[Declared.of(workflow) for workflow in found.workflows.values()], mistakes=[])


def main(arguments: Sequence[str]) -> None:
    """Report on the package that is named, and be gone, whatever threads its modules have started."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    print(report(arguments[0], answers).model_dump_json(by_alias=True), file=answers, flush=True)
    os._exit(0)
