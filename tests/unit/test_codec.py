"""Events as they lie in the table: what a record leaves out, and what becomes of times, texts and other releases'."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from cascade_flow.dynamodb.codec import decode, deflate, encode, inflate, references_of, to_record, to_wire, zipped
from cascade_flow.dynamodb.items import bytes_of
from cascade_flow.errors import CascadeFlowError
from cascade_flow.model.events import Event, RunSubmitted, StepCheckpoint, StepCompleted, dump_event
from unit.dynamodb.told import SUBMISSION, step_scheduled
from unit.engine.facts import NOW_US, told

SUBMITTED = told(RunSubmitted, NOW_US, input='{"a": "ü"}', **SUBMISSION | {"available_at_us": NOW_US + 5})
COMPLETED = told(
    StepCompleted, NOW_US + 1, step_id="a", attempt_number=1, output="[1]", duration_us=2, export_output=False
)
CHECKPOINT = told(StepCheckpoint, NOW_US, step_id="a", attempt_number=1, name="c", sequence_number=1, data="7")

SCHEDULED = step_scheduled(NOW_US)


@pytest.mark.parametrize("event", [SUBMITTED, COMPLETED, CHECKPOINT, SCHEDULED])
def test_a_record_holds_what_its_partition_does_not_know_and_comes_back_whole(event: Event) -> None:
    record, wire = to_record(event, {}), dump_event(event)
    assert record == {name: wire[name] for name in wire if name not in ("eventId", "runId", "workflowSlug", "category")}
    assert to_wire(record, workflow_slug="flow", run_id="run") == wire
    assert references_of(record) == {}


@pytest.mark.parametrize(
    ("event", "field"),
    [(SUBMITTED, "input"), (COMPLETED, "output"), (CHECKPOINT, "data")],
    ids=["input", "output", "data"],
)
def test_a_text_that_was_put_aside_is_named_where_it_was(event: Event, field: str) -> None:
    whole = to_record(event, {})
    record = to_record(event, {"another text": "P#2", str(whole[field]): "P#1"})
    assert record == {**whole, field: {"$ref": "P#1"}}
    assert references_of(record) == {field: "P#1"}


RECORDS: tuple[dict[str, Any], ...] = (
    {"timestampUs": NOW_US, "type": "a", "availableAtUs": NOW_US, "input": "ü"},
    {"timestampUs": NOW_US + 7, "type": "b", "availableAtUs": NOW_US + 0.5},
    {"timestampUs": NOW_US + 3, "type": "c", "availableAtUs": 0},
    {"timestampUs": NOW_US + 3, "type": "d"},
)
PACKED = (
    f'[{{"timestampUs":{NOW_US},"type":"a","availableAtUs":0,"input":"ü"}},'
    f'{{"timestampUs":7,"type":"b","availableAtUs":{NOW_US}.5}},'
    f'{{"timestampUs":-4,"type":"c","availableAtUs":{-NOW_US - 3}}},'
    '{"timestampUs":0,"type":"d"}]'
)


def test_times_are_told_as_differences_and_come_back_to_the_digit() -> None:
    assert inflate(encode(RECORDS)) == PACKED
    assert decode(encode(RECORDS)) == RECORDS
    assert decode(b"") == ()


def test_what_is_said_again_takes_no_room() -> None:
    text = "".join(f"{number % 97},{number % 89};" for number in range(2_000))
    assert inflate(deflate(text)) == text
    assert len(deflate(text)) < 5_000 < len(zlib.compress(text.encode(), 1))


def test_the_same_text_makes_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    first = zipped("größer")
    monkeypatch.setattr("time.time", lambda: 0)
    assert zipped("größer") == first


def test_what_another_release_has_packed_is_refused_by_its_number() -> None:
    with pytest.raises(CascadeFlowError, match=r"\(codec 02\)"):
        inflate(b"\x02" + deflate("text")[1:])


def test_bytes_that_were_stored_as_a_text_are_that_texts() -> None:
    assert (bytes_of({"e": b"\x01"}, "e"), bytes_of({"e": "ü"}, "e")) == (b"\x01", "ü".encode())
