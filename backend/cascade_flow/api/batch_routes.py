"""Many submissions in one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade_flow.api.answers import Answer, ok
from cascade_flow.api.batch_shapes import SubmitRuns
from cascade_flow.api.resources import lanes, patience_us, runtime
from cascade_flow.api.routes import route

if TYPE_CHECKING:
    from cascade_flow.api.batch_replies import ManySubmitted


@route("POST /runs/batch")
def submit_runs(body: SubmitRuns) -> Answer[ManySubmitted]:
    """Submit up to 1,000 runs. Each is answered for itself, in its place; one that is refused loses no other."""
    from cascade_flow.api import batch_answers  # noqa: PLC0415  (most submissions are single ones)
    from cascade_flow.operations.many_submissions import Submissions  # noqa: PLC0415

    made = Submissions(runtime(), lanes()).submit(body.wishes(), until_us=patience_us())
    return ok(batch_answers.many_submitted(made))
