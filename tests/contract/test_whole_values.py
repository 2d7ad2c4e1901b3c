"""A model given as an input or output arrives as it is, or is refused at the door: nothing of it is lost unsaid."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr, computed_field

from cascade_flow import ArgumentInvalidError, DynamoDBBackend, RunSubmission
from contract.called import FLOW as CALLED, Called
from contract.outside import FLOW, Outside, register


class Order(BaseModel):
    number: int = Field(alias="orderNumber")
    at: date = date(2026, 11, 22)
    rates: list[float] = [float("nan"), 1.0]
    anything: Any = (1, date(2026, 11, 22))


class Total(BaseModel):
    net: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def gross(self) -> int:
        return self.net * 2


class Card(BaseModel):
    number: SecretStr = SecretStr("4111")
    note: str | None = Field(default=None, exclude=True)


class Inner(BaseModel):
    card: Card = Card()


@dataclass
class Login:
    password: SecretStr


class Odd(BaseModel):
    """Its serializer writes what its validator doesn't take."""

    level: int = Field(default=0, le=5)


ARRIVES = [Order(orderNumber=3), Total(net=2), {"order": [Order(orderNumber=3)]}, "text", None, {"a": {1, 2}}]
LOST = {
    "a secret": (Card(), ["input.number"]),
    "an excluded field": (Card(number=SecretStr(""), note="x"), ["input.note"]),
    "inside of a model": (Inner(), ["input.card"]),
    "among other things": ({"cards": [1, Card()]}, ["input.cards.1.number"]),
    "a secret alone": ({"key": SecretStr("x")}, ["input.key"]),
    "a dataclass": (Login(SecretStr("x")), ["input.password"]),
    "no inverse": (Odd.model_construct(level=9), ["input"]),
}


@pytest.mark.parametrize("value", ARRIVES, ids=repr)
def test_what_json_holds_is_taken(backend: DynamoDBBackend, value: Any) -> None:
    register(backend)
    run = backend.get_run(backend.submit_run(RunSubmission(workflow_slug=FLOW, input=value)).run_id)
    assert run is not None
    assert (run.input is None) == (value is None)
    if isinstance(value, Order):
        assert json.loads(run.input or "")["orderNumber"] == 3


@pytest.mark.parametrize("name", LOST)
def test_what_it_does_not_hold_is_refused_by_name(backend: DynamoDBBackend, name: str) -> None:
    value, places = LOST[name]
    register(backend)
    with pytest.raises(ArgumentInvalidError) as refused:
        backend.submit_run(RunSubmission(workflow_slug=FLOW, input=value))
    assert [issue.path for issue in refused.value.issues] == places
    assert backend.list_run_ids(FLOW) == []


def test_the_other_operations_that_take_a_value_refuse_it_too(backend: DynamoDBBackend) -> None:
    run = Outside.at(backend)
    attempt = run.take("a")
    with pytest.raises(ArgumentInvalidError, match=r"output\.number"):
        run.complete("a", attempt, Card())
    run.complete("a", attempt, "done")
    with pytest.raises(ArgumentInvalidError, match=r"input\.number"):
        backend.rerun_from(parent_run_id=run.run_id, from_step_id="a", input=Card())
    called = Called.new(backend, run_id="called")
    with pytest.raises(ArgumentInvalidError, match=r"output\.number"):
        backend.save_workflow_complete(
            CALLED, called.run_id, Card(), workflow_attempt_number=1, duration_us=1, total_steps=0
        )
