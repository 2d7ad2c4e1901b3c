"""What is said of an event from outside: what the run waits for, until when, and how it is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cascade_flow import clock
from cascade_flow.cli import event_texts, formatting
from unit.cli.conftest import Api, Done
from unit.cli.documents import NOW_US, RUN_ID, document, event, step

Cascade = Callable[..., Done]
DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000


def waiting(**event: Any) -> Any:
    told = {"waits": True, "onTimeout": "skip", **event}
    approval = step("approval", "quote", event=told)
    return document(step("quote", status="completed"), approval, step("ship", "approval"))


@pytest.fixture(autouse=True)
def now() -> Any:
    with clock.use(clock.SteppingClock(NOW_US)):
        yield


def test_show_says_until_when_the_run_waits_and_how_to_send_it(api: Api, cascade: Cascade) -> None:
    until_us = NOW_US + 2 * DAY_US
    api.routes[f"GET /runs/{RUN_ID}"] = (200, waiting(waitsUntilUs=until_us))
    shown = cascade("show", RUN_ID).out
    assert f"waits until {formatting.moment(until_us, now_us=NOW_US)}" in shown.replace("\n", " ")
    assert "cascade send" in shown
    assert "◇" in shown


def test_what_was_sent_before_anybody_waits_is_said_to_be(api: Api, cascade: Cascade) -> None:
    told = {"waits": False, "onTimeout": "fail", "sentAtUs": NOW_US}
    api.routes[f"GET /runs/{RUN_ID}"] = (200, document(step("quote", status="running"), step("approval", event=told)))
    assert "was sent already" in cascade("show", RUN_ID).out


def test_a_moment_is_said_as_people_say_it() -> None:
    said = [formatting.moment(NOW_US + us, now_us=NOW_US) for us in (0, 2 * DAY_US, 30 * DAY_US)]
    assert [len(each.split()) for each in said] == [1, 2, 2]
    assert said[1].split()[0].endswith("day")
    assert said[2].startswith("20")


@pytest.mark.parametrize(("worker", "said"), [("event:signal", "it was sent"), ("event:callback", "from outside")])
def test_events_say_who_has_sent_it(worker: str, said: str) -> None:
    begun = event("StepStarted", "approval", workerId=worker, attemptNumber=1)
    assert said in event_texts.sentence(begun)
