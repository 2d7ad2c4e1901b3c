"""Seattle's weather on the real file, on a few rows of a test's own, and on rows that make no sense."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from workflows.seattle_weather import Period, Summary, weather

from cascade_flow import InputInvalidError
from cascade_flow.testing import Engine

ROW = {"precipitation": "0.0", "temp_max": "12.8", "temp_min": "5.0", "wind": "4.7", "weather": "sun"}


def rows(number: int, **changed: str) -> list[dict[str, str]]:
    return [{**ROW, "date": str(date(2012, 1, 1) + timedelta(days=n)), **changed} for n in range(number)]


def test_the_whole_file(engine: Engine) -> None:
    result = engine.run(weather, Period(), expect="completed")
    summary = result.output["summary"]
    assert isinstance(summary, Summary)
    assert (summary.days, summary.sunny_days_percent) == (1461, 44)
    assert result.output["chart"].startswith("<svg")
    assert "1461 rows of seattle-weather.csv" in result.logs("read")


def test_a_dry_spell(engine: Engine) -> None:
    wet = rows(400)
    wet[10]["precipitation"] = "3.5"
    result = engine.run(weather, fake={"read": wet})
    assert result.output["summary"].longest_dry_spell_days == 389
    assert result.output["summary"].wettest == "3.5 mm on 2012-01-11"


def test_a_few_rows_that_make_no_sense_are_left_out_and_logged(engine: Engine) -> None:
    result = engine.run(weather, fake={"read": [*rows(400), *rows(1, weather="frogs")]}, expect="completed")
    assert len(result.steps["check"].output) == 400
    assert "left out" in result.logs("check")


def test_a_file_that_makes_no_sense_fails_the_run(engine: Engine) -> None:
    result = engine.run(weather, fake={"read": rows(400, weather="frogs")}, expect="failed")
    assert result.error is not None
    assert "is this the right file?" in result.error.message
    assert result.steps["chart"].status == "pending"


def test_a_year_beyond_the_file_is_refused_at_the_door(engine: Engine) -> None:
    with pytest.raises(InputInvalidError, match="last_year"):
        engine.run(weather, {"last_year": 2016})


def test_years_in_the_wrong_order_fail_the_step_that_reads_them(engine: Engine) -> None:
    """Only the model knows what is wrong, so it is told by the run."""
    result = engine.run(weather, {"first_year": 2014, "last_year": 2013})
    assert result.error is not None
    assert "first_year lies after last_year" in result.error.message
