"""What code says of a workflow to people: docstrings, and by which one sees whether a step's code has changed."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Mapping
from typing import Any

from cascade_flow.authoring.definition import Definition
from cascade_flow.authoring.steps import Step
from cascade_flow.authoring.version import source_text
from cascade_flow.authoring.workflow import Workflow
from cascade_flow.model.workflows import StepNote, WorkflowNotes

_LONGEST = 2_000
"""Characters of a docstring that are kept; of many steps, fewer, so that all lie in one item."""
_ALTOGETHER = 100_000
_CODE_DIGITS = 12


def notes_of(workflows: Mapping[str, Workflow]) -> dict[str, WorkflowNotes]:
    """Of each; a workflow's description is the docstring of the module that declares it, a step's its function's."""
    return {slug: _notes(workflow.definition()) for slug, workflow in workflows.items()}


def _notes(definition: Definition) -> WorkflowNotes:
    module = sys.modules.get(definition.head.location)
    coded = [step for step in definition.steps.values() if step.declared.event is None]
    longest = min(_LONGEST, _ALTOGETHER // max(1, len(coded)))
    return WorkflowNotes(
        description=_docstring(module, _LONGEST), steps={step.id: _note(step, longest) for step in coded}
    )


def _note(step: Step, longest: int) -> StepNote:
    code = hashlib.sha256(source_text(step.function).encode()).hexdigest()
    return StepNote(description=_docstring(step.function, longest), code=code[:_CODE_DIGITS])


def _docstring(of: Any, longest: int) -> str | None:
    text = inspect.cleandoc(getattr(of, "__doc__", None) or "").strip()
    return text[:longest] or None
