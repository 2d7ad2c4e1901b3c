"""The version id of a workflow: one hash of all that decides what a run of it does, the same on every machine.

It covers the graph (ids, edges, retries, timeouts, exports), the input's schema and the source text of the steps
themselves, decorators included; indentation, trailing blanks and paths don't count. It does not cover functions that a
step calls: which commit those come from is what the version's git information says.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable
from textwrap import dedent
from typing import Any

from cascade_flow.authoring.steps import Step
from cascade_flow.model.workflows import RunLimit


def version_id(
    slug: str, steps: Iterable[Step], *, input_schema: Any, timeout_us: int, run_limit: RunLimit | None = None
) -> str:
    """`sha256:` and the hash, in hex. Steps count in declared order, since that order decides on the branches."""
    content: dict[str, Any] = {
        "slug": slug,
        "input": input_schema,
        "timeoutUs": timeout_us,
        "steps": [{**step.definition.to_wire(), **_sources(step)} for step in steps],
    }
    if run_limit is not None:  # versions that have none keep their ids
        content["runLimit"] = run_limit.to_wire()
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _sources(step: Step) -> dict[str, str]:
    """The code of a step, and of what undoes it where something does."""
    undo = {} if step.undo is None else {"undoSource": source_text(step.undo.function)}
    return {"source": source_text(step.function), **undo}


def source_text(function: Callable[..., Any]) -> str:
    """The function's source without indentation and trailing blanks; its signature where no source can be read.

    What is no function of the author's may say itself what stands for its source.
    """
    if (own := getattr(function, "source_text", None)) is not None:
        return str(own)
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        return f"def {function.__name__}{inspect.signature(function)}"
    return "\n".join(line.rstrip() for line in dedent(text).strip().splitlines())
