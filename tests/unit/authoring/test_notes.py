"""What code says of a workflow to people, and what of it shows that a step's code is another."""

from __future__ import annotations

from pydantic import BaseModel

from cascade_flow import Workflow
from cascade_flow.authoring.notes import notes_of
from cascade_flow.model.workflows import WorkflowNotes


class Answer(BaseModel):
    """A yes or no."""

    yes: bool


def flow(double: int) -> Workflow:
    found = Workflow("flow")
    if double == 2:

        @found.step
        def twice() -> int:
            """Twice of it.

            Never less.
            """
            return 2

    else:

        @found.step
        def twice() -> int:
            return 3

    found.event("answer", Answer, after="twice")
    return found


def noted(workflow: Workflow) -> WorkflowNotes:
    [notes] = notes_of({workflow.slug: workflow}).values()
    return notes


def test_docstrings_are_kept_and_an_event_has_none() -> None:
    notes = noted(flow(2))
    assert notes.description == __doc__
    assert list(notes.steps) == ["twice"]
    assert notes.steps["twice"].description == "Twice of it.\n\nNever less."


def test_the_mark_of_the_code_is_another_where_the_code_is() -> None:
    first, again, other = (noted(flow(double)).steps["twice"].code for double in (2, 2, 3))
    assert first == again != other
    assert noted(flow(3)).steps["twice"].description is None


def test_notes_of_many_long_docstrings_fit_an_item() -> None:
    many = Workflow("many")
    for number in range(500):

        def work() -> None: ...

        work.__doc__ = "ö" * 5_000
        many.step(id=f"s{number}")(work)
    assert len(noted(many).model_dump_json()) < 300_000
