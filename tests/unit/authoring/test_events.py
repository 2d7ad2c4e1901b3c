"""Events as their authors declare them: nodes without code, received as a step's output is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from cascade_flow import EventDefinition, Workflow
from cascade_flow.errors import DefinitionError


class Approval(BaseModel):
    ok: bool


def orders(**declared: Any) -> Workflow:
    flow = Workflow("orders")

    @flow.step
    def quote() -> int:
        return 7

    approval = flow.event("approval", Approval, after=quote, **declared)

    @flow.step(export=True)
    def ship(approval: Approval) -> str:
        return "yes" if approval.ok else "no"

    @flow.step(after=approval)
    def tell() -> None: ...

    return flow


def test_it_is_registered_with_what_it_waits_for() -> None:
    flow = orders(timeout=timedelta(days=3), on_timeout="skip")
    approval = {step.id: step for step in flow.registration().steps}["approval"]
    assert approval.dependencies == ["quote"]
    assert isinstance(approval.event, EventDefinition)
    assert (approval.event.timeout_us, approval.event.on_timeout) == (3 * 86_400_000_000, "skip")
    schema: Any = approval.event.payload_schema_json
    assert schema["required"] == ["ok"]


def test_it_is_received_by_name_and_waited_for_by_reference() -> None:
    steps = {step.id: step.dependencies for step in orders().registration().steps}
    assert steps == {"quote": [], "approval": ["quote"], "ship": ["approval"], "tell": ["approval"]}


def test_of_a_payload_without_a_type_nothing_is_asked() -> None:
    flow = Workflow("free")
    flow.event("anything", export=True)
    [step] = flow.registration().steps
    assert step.event == EventDefinition()


def test_what_steps_without_events_are_registered_as_has_not_changed() -> None:
    assert all("event" not in step for step in orders().registration().to_wire()["steps"] if step["id"] != "approval")


def test_another_payload_or_timeout_is_another_version() -> None:
    versions = {orders(**each).definition().version_id for each in ({}, {"timeout": 5}, {"timeout": 6})}
    assert len(versions) == 3
    assert orders().definition().version_id == orders().definition().version_id


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"on_timeout": "skip"}, "there is none: give timeout= too"),
        ({"on_timeout": "retry", "timeout": 5}, 'give "fail" or "skip"'),
        ({"timeout": -1}, "more than 0 seconds"),
        ({"export": "yes"}, "give True or False"),
        ({"payload": 7}, "its payload's type"),
        ({"after": "quot"}, "did you mean 'quote'"),
        ({"after": "approval"}, "it depends on itself"),
    ],
)
def test_what_is_wrong_with_it_is_told(declared: dict[str, Any], said: str) -> None:
    flow = Workflow("orders")

    @flow.step
    def quote() -> int:
        return 7

    flow.event("approval", **declared)
    with pytest.raises(DefinitionError, match="event 'approval'") as told:
        flow.definition()
    assert said in str(told.value)


def test_what_its_receiver_takes_must_be_able_to_fit() -> None:
    flow = Workflow("orders")
    flow.event("count", int)

    @flow.step
    def show(count: list[str]) -> None: ...

    with pytest.raises(DefinitionError, match="event 'count' brings int"):
        flow.definition()


def test_nobody_calls_it() -> None:
    with pytest.raises(DefinitionError, match="cascade send"):
        Workflow("orders").event("approval")()
