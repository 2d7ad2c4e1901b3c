"""A run's input as it is submitted: what JSON holds, whatever the test has at hand."""

from __future__ import annotations

import json
from dataclasses import is_dataclass
from typing import Any

from pydantic import BaseModel

from cascade_flow.authoring import Workflow


def plain_input(workflow: Workflow, value: Any) -> Any:
    """The input, a model or dataclass being written as the workflow's type says.

    Raises DefinitionError where it is none of that type.
    """
    payload = workflow.definition().input
    if payload is None or not (isinstance(value, BaseModel) or (is_dataclass(value) and not isinstance(value, type))):
        return value
    return json.loads(payload.dump(value, f"the input of {workflow.slug!r}"))
