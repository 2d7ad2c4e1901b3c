"""Orders that wait for a yes: with one, with a no, without any, and by themselves on Mondays."""

from __future__ import annotations

import pytest
from workflows.approvals import approvals

from cascade_flow.testing import Engine

TEA = {"item": "tea", "pieces": 12}


@pytest.mark.parametrize(("ok", "word"), [(True, "approved"), (False, "refused")])
def test_an_answer_decides(engine: Engine, ok: bool, word: str) -> None:
    result = engine.send("approval", {"ok": ok, "by": "mila"}).run(approvals, TEA)
    assert result.steps["confirm"].output == f"12 x tea for 54.00: {word} by mila"


def test_after_three_days_without_an_answer_the_order_lapses(engine: Engine) -> None:
    result = engine.run(approvals, TEA)
    assert result.steps["approval"].status == "skipped"
    assert result.steps["confirm"].output == "12 x tea for 54.00: nobody answered, so it lapsed"


def test_on_mondays_the_usual_order_is_made(engine: Engine) -> None:
    result = engine.send("approval", {"ok": True}).tick(approvals, "mondays")
    assert result.steps["confirm"].output == "24 x tea for 108.00: approved by somebody"
