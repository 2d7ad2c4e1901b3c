"""What to tell somebody who comes too late with words that are stored already.

Whoever loses the answer to a call says the same again, and finds the fence shut by its own first words. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cascade_flow.engine.caller import Draft
from cascade_flow.errors import StaleAttemptError
from cascade_flow.model.events import Event, make_event

_NOWHERE = {"timestamp_us": 0, "workflow_slug": "none", "run_id": "none"}
DECIDED = frozenset(
    {
        *("terminal", "failure_reason", "next_retry_at_us", "policy_index", "attempt_in_policy"),
        *("export_output", "skip_type", "cascaded_from"),
    }
)
"""What of a report the engine decides by itself, on the runs that it drives."""


def repeat_of(
    error: StaleAttemptError, said: Sequence[Draft], stored: Iterable[Event], *, besides: frozenset[str] = frozenset()
) -> StaleAttemptError:
    """The error; where all that was said is stored already (fields `besides` left out), one that says so."""
    known = list(stored)
    if not said or not all(_is_among(draft, known, besides) for draft in said):
        return error
    subject = f"step {said[0].fields['step_id']!r}" if "step_id" in said[0].fields else "the run"
    return StaleAttemptError(
        f"{subject} is {error.facts.get('now')} already: this {said[0].kind.__name__} was stored when it was said "
        "first, and nothing was stored twice. What it ended is no longer held: go on with other work",
        stored=True,
        **error.facts,
    )


def _is_among(draft: Draft, stored: Iterable[Event], besides: frozenset[str]) -> bool:
    said = make_event(draft.kind, **_NOWHERE, **draft.fields)
    names = [name for name in draft.fields if name not in besides]
    return any(type(e) is draft.kind and all(getattr(e, n) == getattr(said, n) for n in names) for e in stored)
