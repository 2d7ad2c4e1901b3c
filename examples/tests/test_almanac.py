"""The almanac: a page for each day but the torn one, a dry pen, a worker that dies, and a bindery of its own."""

from __future__ import annotations

from workflows.almanac import almanac

from cascade_flow.testing import Engine


def test_a_torn_day_is_missing_and_a_dry_pen_is_tried_again(engine: Engine) -> None:
    result = engine.kill("page/200").run(almanac, expect="completed")
    assert result.output["shelf"] == {
        "book": "SEATTLE 2015, 364 pages",
        "warmest": "200. 19 July: ☀ 35 °C",
        "missing": ["2015-02-11: the row is torn"],
    }
    pages = result.steps["page"].items
    assert len(pages) == 365
    assert [index for index, page in enumerate(pages) if page.status != "completed"] == [41]
    assert [attempt.status for attempt in pages[90].attempts] == ["failed", "completed"]
    assert [attempt.status for attempt in pages[200].attempts] == ["died", "completed"]
    assert result.steps["bindery"].run.output == {"book": "SEATTLE 2015, 364 pages"}
