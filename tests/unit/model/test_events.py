"""Events over the border: what is read, what is refused and why, what is written."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from cascade_flow.errors import CascadeFlowError, EventInvalidError
from cascade_flow.model.events import (
    Event,
    ResourceSnapshot,
    RunSubmitted,
    StepError,
    StepHeartbeat,
    StepScheduled,
    StepStarted,
    dump_event,
    parse_event,
)
from strategies import STEP_EVENTS, WORKFLOW_EVENTS

WIRE: dict[str, Any] = {
    "eventId": "1700000000000000",
    "timestampUs": 1_700_000_000_000_000,
    "workflowSlug": "weather",
    "runId": "run-1",
    "category": "step",
    "type": "StepScheduled",
    "stepId": "group/step",
    "availableAtUs": 1_700_000_000_000_000,
    "reason": "initial",
    "attemptNumber": 1,
}
SUBMITTED = RunSubmitted(
    timestamp_us=5,
    workflow_slug="w",
    run_id="r",
    version_id="sha256:0",
    available_at_us=5,
    priority=0,
    has_input_schema=False,
)


def scheduled(**given: Any) -> StepScheduled:
    known = {"timestamp_us": 5, "workflow_slug": "w", "run_id": "r", "step_id": "s", "available_at_us": 5}
    return StepScheduled(**{**known, "reason": "initial", "attempt_number": 1, **given})


def refusal_of(data: Any) -> EventInvalidError:
    with pytest.raises(EventInvalidError) as caught:
        parse_event(data)
    return caught.value


def refused_paths(data: Any) -> list[str]:
    return [issue.path for issue in refusal_of(data).issues]


@pytest.mark.parametrize("data", [WIRE, json.dumps(WIRE), json.dumps(WIRE).encode()])
def test_objects_text_and_bytes_are_read_alike(data: Any) -> None:
    event = parse_event(data)
    assert isinstance(event, StepScheduled)
    assert (event.step_id, event.available_at_us, event.priority) == ("group/step", 1_700_000_000_000_000, None)
    assert dump_event(event) == WIRE


def test_unknown_fields_are_ignored() -> None:
    assert dump_event(parse_event({**WIRE, "shoeSize": 46})) == WIRE


def test_the_event_id_is_the_timestamp_where_none_is_given() -> None:
    assert scheduled(timestamp_us=42).event_id == "42"
    assert scheduled(timestamp_us=42, event_id="43").event_id == "43"


def test_absent_values_are_left_out_but_not_inside_of_metadata() -> None:
    event = SUBMITTED.model_copy(update={"metadata": {"note": None}})
    wire = dump_event(event)
    assert wire["metadata"] == {"note": None}
    assert "input" not in wire
    assert "tags" not in wire


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("attemptNumber", "1"),
        ("attemptNumber", True),
        ("attemptNumber", 0),
        ("attemptNumber", 1.5),
        ("attemptNumber", 2**53),
        ("timestampUs", "1"),
        ("timestampUs", float("nan")),
        ("timestampUs", None),
        ("eventId", 5),
        ("eventId", "5a"),
        ("eventId", "٣"),
        ("eventId", "5\n"),
        ("reason", "whim"),
        ("category", "workflow"),
        ("stepId", None),
        ("priority", None),
        ("type", "StepDreamt"),
    ],
)
def test_wrong_values_are_refused_by_name(path: str, value: Any) -> None:
    assert refused_paths({**WIRE, path: value}) == [path]


@pytest.mark.parametrize("path", sorted(WIRE))
def test_every_field_of_the_wire_must_be_there(path: str) -> None:
    assert refused_paths({key: value for key, value in WIRE.items() if key != path}) == [path]


def test_python_names_are_no_wire_names() -> None:
    renamed = {("step_id" if key == "stepId" else key): value for key, value in WIRE.items()}
    assert refused_paths(renamed) == ["stepId"]


def test_paths_lead_into_the_parts() -> None:
    wire = {**WIRE, "type": "StepStarted", "workerId": "w", "dependencies": ["a", 1]}
    assert refused_paths(wire) == ["dependencies.1"]
    beat = {**WIRE, "type": "StepHeartbeat", "workerId": "w", "resourceSnapshot": {"memoryBytes": 1, "cpuTimeUs": None}}
    assert refused_paths(beat) == ["resourceSnapshot.cpuTimeUs"]


@pytest.mark.parametrize("data", ["", "{", "[]", "null", "NaN", b"\xff", [], None, 5, "[" * 10_000, '{"type":' * 5_000])
def test_what_is_no_event_is_refused(data: Any) -> None:
    error = refusal_of(data)
    assert isinstance(error, CascadeFlowError)
    assert isinstance(error, ValueError)
    assert error.issues


def test_a_whole_number_may_be_written_as_a_fraction() -> None:
    event = parse_event(json.dumps(WIRE).replace('"attemptNumber": 1', '"attemptNumber": 1.0'))
    assert isinstance(event, StepScheduled)
    assert (event.attempt_number, type(event.attempt_number)) == (1, int)


def test_a_foreign_fraction_of_a_microsecond_is_kept() -> None:
    wire = {**WIRE, "timestampUs": 5.5}
    assert dump_event(parse_event(wire)) == wire


@pytest.mark.parametrize("data", [{**WIRE, "stepId": "a\ud800"}, json.dumps({**WIRE, "stepId": "a\ud800"})])
def test_half_a_surrogate_is_replaced(data: Any) -> None:
    event = parse_event(data)
    assert isinstance(event, StepScheduled)
    assert event.step_id == "a\ufffd"


def test_metadata_holds_json_and_nothing_else() -> None:
    wire = {**dump_event(SUBMITTED), "metadata": {"a": [1, {"b": "\ud800"}]}}
    event = parse_event(wire)
    assert isinstance(event, RunSubmitted)
    assert event.metadata == {"a": [1, {"b": "\ufffd"}]}
    assert refused_paths({**wire, "metadata": {"a": {1, 2}}})[0].startswith("metadata.a")
    assert refused_paths({**wire, "metadata": {"a": [float("inf")]}}) == ["metadata"]


def test_events_are_frozen_and_strict_where_they_are_made() -> None:
    with pytest.raises(ValidationError):
        scheduled(attempt_number="1")
    with pytest.raises(ValidationError):
        scheduled().attempt_number = 2  # type: ignore[misc]


def test_absent_may_be_said_where_events_are_made() -> None:
    assert scheduled(priority=None) == scheduled()


def test_parts_are_models() -> None:
    beat = StepHeartbeat(
        timestamp_us=5,
        workflow_slug="w",
        run_id="r",
        step_id="s",
        worker_id="x",
        attempt_number=1,
        resource_snapshot=ResourceSnapshot(memory_bytes=7),
    )
    assert dump_event(beat)["resourceSnapshot"] == {"memoryBytes": 7}
    assert StepError(message="no").to_wire() == {"message": "no"}


def test_the_union_knows_every_type_by_its_name() -> None:
    kinds = get_args(Event)
    assert set(kinds) == {*STEP_EVENTS, *WORKFLOW_EVENTS}
    assert [kind.model_fields["type"].default for kind in kinds] == [kind.__name__ for kind in kinds]
    assert len(kinds) == 20
    assert StepStarted in kinds
