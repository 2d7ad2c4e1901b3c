"""Events from outside in a test of a workflow: sent before, while and after the run waits; and time skipped beyond."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from cascade_flow import EventClosedError, InputInvalidError, Workflow
from cascade_flow.errors import DefinitionError
from cascade_flow.testing import Engine


class Approval(BaseModel):
    ok: bool


def flow(**declared: Any) -> Workflow:
    orders = Workflow("orders")

    @orders.step
    def quote() -> int:
        return 7

    orders.event("approval", Approval, after=quote, **declared)

    @orders.step(export=True)
    def ship(approval: Approval) -> str:
        return "shipped" if approval.ok else "refused"

    return orders


@pytest.fixture
def engine() -> Engine:
    return Engine()


def test_it_is_sent_before_the_run_is_there(engine: Engine) -> None:
    engine.send("approval", {"ok": True})
    assert engine.run(flow(), expect="completed").output == {"ship": "shipped"}


def test_it_is_sent_while_the_run_waits(engine: Engine) -> None:
    run = engine.submit(flow())
    engine.advance("1d")
    assert run.status == "running"
    engine.send("approval", Approval(ok=False))
    engine.run_until_idle()
    assert run.output == {"ship": "refused"}


@pytest.mark.parametrize(("on_timeout", "status"), [("skip", "completed"), ("fail", "failed")])
def test_time_is_skipped_to_its_timeout(engine: Engine, on_timeout: str, status: Any) -> None:
    before = engine.now
    run = engine.run(flow(timeout=timedelta(days=3), on_timeout=on_timeout), expect=status)
    assert timedelta(days=3) <= engine.now - before < timedelta(days=3, minutes=2)
    with pytest.raises(EventClosedError):
        engine.send("approval", {"ok": True}, to=run)


def test_what_does_not_fit_is_refused(engine: Engine) -> None:
    engine.submit(flow())
    with pytest.raises(InputInvalidError, match="data"):
        engine.send("approval", {"ok": "perhaps"})


def test_an_event_has_no_code_to_be_faked(engine: Engine) -> None:
    with pytest.raises(DefinitionError, match=r"engine\.send"):
        engine.run(flow(), fake={"approval": {"ok": True}})
