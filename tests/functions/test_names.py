"""One word for one thing, with its unit: every field of every answer, and of every request, keeps to the convention."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest
from pydantic import BaseModel

import events
from cascade_flow.api import names, report_shapes, run_shapes, shapes, workflow_shapes
from cascade_flow.model import reports
from cascade_flow.model.states import RunState, StepState, SubmittedRun
from cascade_flow.model.workflows import StepDefinition, WorkflowMetadata, WorkflowVersion
from checker import check_run
from events.deployed import Functions

pytestmark = pytest.mark.servers("ministack")

AN_INSTANT_US = 1_500_000_000_000_000
TIMELY = re.compile(
    r"(?<!\w)(time|duration|delay|timeout|timestamp|after|next)$|(At|Time|Ms|Seconds|Heartbeat|Timestamp)$"
)
"""Names of instants and lengths of time that don't say in which unit."""
SYNONYMS = re.compile(
    r"^(id|slug|workflow|attempt|started|finished|completed|ended|created)(TimeUs|DateUs)?$|^completedAtUs$"
)
"""Names for things that have another one: `runId`, `stepId`, `workflowSlug`, `attemptNumber`, `endedAtUs`."""


def fields_in(value: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every field of ours in an answer; events and what users wrote have words of their own."""
    for item in value if isinstance(value, list) else []:
        yield from fields_in(item, f"{path}[]")
    for name, item in value.items() if isinstance(value, Mapping) else []:
        yield f"{path}.{name}", name, item
        if name not in {*names.THE_USERS, "events", "outputs"}:
            yield from fields_in(item, f"{path}.{name}")


def odd(answer: Any) -> list[str]:
    return [path for path, name, value in fields_in(answer) if is_odd(name, value)]


def is_odd(name: str, value: Any) -> bool:
    unit_is_missing = isinstance(value, int) and value > AN_INSTANT_US and not name.endswith("Us")
    text_for_a_value = name in ("input", "output") and isinstance(value, str)
    return bool(TIMELY.search(name) or SYNONYMS.search(name) or unit_is_missing or text_for_a_value)


@pytest.fixture
def answers(functions: Functions) -> dict[str, Any]:
    """What each route answers, of runs that did all that a run can do."""

    def asked(name: str, event: dict[str, Any]) -> Any:
        return functions.http(name, event).json

    failed = functions.submit(input={"weights": [1], "broken": True}, metadata={"createdAt": "the user's"})
    skipped = functions.submit(input={"weights": [1], "insured": False}, timeoutUs=60_000_000, tags=["a"])
    functions.work()
    held = functions.submit()
    claimed = asked("claim", events.post("/steps/claim", {"workerId": "w", "runId": held, "stepId": "weigh"}))
    said = {"workerId": "w", "attemptNumber": 1, "resourceSnapshot": {"memoryBytes": 1}}
    beat = asked("heartbeat", events.post(f"/runs/{held}/steps/weigh/heartbeat", said))
    found = {
        "claim": claimed,
        "heartbeat": beat,
        "running": asked("query", events.get(f"/runs/{held}")),
        "cancelled": asked("submission", events.post(f"/runs/{held}/cancel", {"reason": "enough"})),
        "failed": asked("query", events.get(f"/runs/{failed}")),
        "skipped": asked("query", events.get(f"/runs/{skipped}")),
        "runs": asked("query", events.get("/runs")),
        "events": asked("query", events.get(f"/runs/{skipped}/events?limit=2")),
        "logs": asked("query", events.get(f"/runs/{skipped}/logs")),
        "workflows": asked("query", events.get("/workflows")),
        "workflow": asked("query", events.get("/workflows/parcels")),
        "submitted": asked("submission", events.post("/runs", {"workflowSlug": "parcels", "input": {"weights": [1]}})),
    }
    for run in functions.backend.list_runs().runs:
        check_run(functions.backend, run.run_id)
    return found


def test_every_field_of_every_answer_keeps_to_the_convention(answers: dict[str, Any]) -> None:
    assert {name: found for name, answer in answers.items() if (found := odd(answer))} == {}


def test_the_inputs_and_outputs_of_a_run_are_values_and_the_users_words_are_left_alone(answers: dict[str, Any]) -> None:
    shown = answers["skipped"]
    assert shown["run"]["input"] == {"weights": [1], "insured": False}
    assert shown["output"] == {"bill": {"total": 2.5}}
    assert answers["failed"]["run"]["metadata"] == {"createdAt": "the user's"}


def models_in(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from models_in(inner)


REPORTS = [kind for kind in vars(reports).values() if isinstance(kind, type) and issubclass(kind, reports.Report)]


@pytest.mark.parametrize(
    "state", [RunState, StepState, StepDefinition, WorkflowVersion, WorkflowMetadata, SubmittedRun, *REPORTS]
)
def test_every_field_that_a_state_may_have_is_translated(state: type[Any]) -> None:
    for model in models_in(state):
        wire = [field.alias or name for name, field in model.model_fields.items()]
        told = [names.told(name) for name in wire]
        assert [name for name in told if is_odd(name, None)] == []
        assert len(set(told)) == len(told)


SHAPES = (shapes, run_shapes, report_shapes, workflow_shapes)
QUERY_WORDS = {"workflow", "attempt"}
"""Filters of a list, which a person types."""


def test_every_field_of_a_request_keeps_to_the_convention() -> None:
    kinds = below(shapes.Shape)
    assert {kind.__module__ for kind in kinds} >= {module.__name__ for module in SHAPES}
    asked = {kind: [str(field.alias) for field in kind.model_fields.values()] for kind in kinds}
    odd_ones = {name for kind, fields in asked.items() for name in fields if is_odd(name, None)}
    assert odd_ones == {*QUERY_WORDS, "slug"}


def below(kind: type[Any]) -> list[type[Any]]:
    return [each for child in kind.__subclasses__() for each in (child, *below(child))]
