"""Tests of workflows: a run in the test's own process, on the real engine, without a stack and without waiting.

    def test_a_declined_card_is_tried_again(engine):
        result = engine.run(orders, {"item": "tea"}, fake={"payment": in_turn(ConnectionError("busy"), "receipt-7")})
        assert result.status == "completed"
        assert len(result.steps["payment"].attempts) == 2

`engine` is a fixture of the pytest plugin that comes with the package; without pytest: `with Engine() as engine:`.
Names are looked up when they are first used, so that a project that does not test with it pays nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cascade_flow.testing.attempts import Attempt as Attempt
    from cascade_flow.testing.engine import Engine as Engine
    from cascade_flow.testing.fakes import in_turn as in_turn
    from cascade_flow.testing.results import (
        Result as Result,
        StepResult as StepResult,
        UnexpectedEnd as UnexpectedEnd,
    )

_HOME_OF = {
    "Engine": "engine",
    "in_turn": "fakes",
    "Attempt": "attempts",
    "Result": "results",
    "StepResult": "results",
    "UnexpectedEnd": "results",
}
__all__ = [*_HOME_OF]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'cascade_flow.testing' has no attribute {name!r}")
    return getattr(import_module(f"cascade_flow.testing.{_HOME_OF[name]}"), name)
