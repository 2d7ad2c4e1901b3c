"""Schedules as they are declared: what is registered, what is refused, and what a worker is spared."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from cascade_flow import DefinitionError, Workflow
from cascade_flow.authoring.discovery import discover, survey
from cascade_flow.model.workflows import ScheduleDefinition


class Report(BaseModel):
    of: str
    pages: int = Field(default=3, alias="numberOfPages")


@dataclass
class Plain:
    of: str


def flow(input: Any = Report) -> Workflow:
    made = Workflow("reports", input=input)

    @made.step
    def write(input: Any) -> int:
        return 1

    return made


def schedules(made: Workflow) -> list[ScheduleDefinition]:
    return made.registration().schedules or []


def test_what_is_declared_is_registered() -> None:
    reports = flow()
    reports.schedule("nightly", cron="0 3 * * 1-5", timezone="Europe/Berlin", input=Report(of="tea"), missed="all")
    reports.schedule("often", every=timedelta(minutes=10), input={"of": "tea"})
    nightly, often = schedules(reports)
    assert nightly == ScheduleDefinition(
        name="nightly",
        cron="0 3 * * 1-5",
        timezone="Europe/Berlin",
        input={"of": "tea", "numberOfPages": 3},
        missed="all",
    )
    assert often == ScheduleDefinition(name="often", every_us=600_000_000, input={"of": "tea"})


def test_inputs_of_all_kinds_are_taken() -> None:
    plain, anything = flow(Plain), flow(None)
    plain.schedule("s", every=60, input=Plain("tea"))
    anything.schedule("s", every=60)
    anything.schedule("t", every=60, input=[1, "a", None])
    assert [each.input for each in [*schedules(plain), *schedules(anything)]] == [{"of": "tea"}, None, [1, "a", None]]


def test_a_workflow_without_any_is_registered_as_ever() -> None:
    assert "schedules" not in flow().registration().to_wire()


def test_no_version_depends_on_them() -> None:
    """What a run does is the same, whenever it begins; and a pause survives a deployment."""
    with_some, without = flow(), flow()
    with_some.schedule("s", every=60, input={"of": "tea"})
    assert with_some.definition().version_id == without.definition().version_id


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"cron": "0 25 * * *"}, "which has '25' as its hour"),
        ({"cron": "0 0 30 2 *"}, "which no year has"),
        ({"cron": 3}, "cron is 3: give a text"),
        ({"cron": "0 3 * * *", "timezone": "Berlin"}, "timezone is 'Berlin', which is no time zone of the IANA's"),
        ({"every": 5}, "every is a minute at least"),
        ({"every": -5}, "every is -5: give more than 0 seconds, or a timedelta"),
        ({"every": 60, "cron": "0 3 * * *"}, "both are given"),
        ({}, "neither is given"),
        ({"every": 60, "missed": "some"}, "missed is 'some': it is 'latest', 'all' or 'none'"),
        ({"every": 60, "input": {"of": 7}}, "its input does not fit Report: of: Input should be a valid string"),
        ({"every": 60, "input": None}, "its input does not fit Report: of: Field required"),
        ({"every": 60, "input": object()}, "its input can't be stored as JSON"),
        ({"every": 60, "input": Plain("tea")}, "its input is of type Plain, which does not fit its type Report"),
        ({"name": "a b", "every": 60}, "'a b' is no schedule name"),
    ],
)
def test_what_is_no_schedule_is_told_with_its_place(declared: dict[str, Any], told: str) -> None:
    reports = flow()
    reports.schedule(**{"name": "nightly", "input": {"of": "tea"}, **declared})
    with pytest.raises(DefinitionError) as refused:
        reports.registration()
    [issue] = refused.value.issues
    assert told in issue.message
    assert issue.path.startswith(f"{__file__}:")
    assert issue.message.startswith("workflow 'reports', schedule")


def test_all_mistakes_are_told_at_once() -> None:
    reports = flow()
    reports.schedule("a", cron="0 25 * * *", input={"of": 7})
    reports.schedule("b", every=60, input={"of": "tea"})
    reports.schedule("b", every=60, input={"of": "tea"})
    with pytest.raises(DefinitionError) as refused:
        reports.registration()
    messages = [issue.message for issue in refused.value.issues]
    for part, message in zip(("its input", "'25'", "exists already"), messages, strict=True):
        assert part in message


MODULE = """
from cascade_flow import Workflow
flow = Workflow("flow")
@flow.step
def a() -> int:
    return 1
flow.schedule("nightly", cron="0 {hour} * * *", timezone="Europe/Berlin")
"""


def test_a_check_of_the_package_finds_what_a_worker_passes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scheduled_badly.py").write_text(MODULE.format(hour=25))
    monkeypatch.syspath_prepend(tmp_path)
    [mistake] = survey("scheduled_badly").mistakes
    assert "has '25' as its hour" in str(mistake)
    assert list(discover("scheduled_badly")) == ["flow"]


def test_a_worker_needs_no_calendar(tmp_path: Path) -> None:
    (tmp_path / "scheduled_well.py").write_text(MODULE.format(hour=3))
    code = "import sys; from cascade_flow.authoring import discover; discover('scheduled_well'); print(*sys.modules)"
    backend = Path(__file__).parents[3] / "backend"
    command = [sys.executable, "-c", code]
    told = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": f"{tmp_path}:{backend}"}, capture_output=True, check=True
    )
    assert not {b"cronsim", b"cascade_flow.calendars"} & set(told.stdout.split())
