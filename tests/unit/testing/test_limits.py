"""Limits in the testing kit: the same places and turns, and time is skipped to them."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from at_work import most_at_once
from cascade_flow import Concurrency, Rate, StepCompleted, StepStarted, Workflow
from cascade_flow.testing import Engine


def test_runs_share_a_limit_and_all_end(engine: Engine) -> None:
    orders = Workflow("orders")

    @orders.step(limit=Concurrency("stripe", 1), export=True)
    def pay() -> int:
        return 1

    runs = [engine.submit(orders) for _ in range(4)]
    engine.run_until_idle()
    spans = []
    for run in runs:
        assert run.status == "completed"
        [began] = [event for event in run.events if isinstance(event, StepStarted)]
        [ended] = [event for event in run.events if isinstance(event, StepCompleted)]
        spans.append((began.timestamp_us, ended.timestamp_us))
    assert most_at_once(spans) == 1


def test_turns_are_hours_apart_and_the_test_is_not(engine: Engine) -> None:
    calls = Workflow("calls")

    @calls.step(limit=Rate("partner", 1, per=timedelta(hours=1)))
    def ring() -> int:
        return 1

    runs = [engine.submit(calls) for _ in range(3)]
    engine.run_until_idle()
    starts = [event.timestamp_us for run in runs for event in run.events if isinstance(event, StepStarted)]
    assert all(after - before >= 3_590_000_000 for before, after in pairwise(sorted(starts)))


def test_a_singleton_is_one_after_the_other(engine: Engine) -> None:
    nightly = Workflow("nightly", singleton="queue")

    @nightly.step
    def tidy() -> int:
        return 1

    first, second = engine.submit(nightly), engine.submit(nightly)
    engine.run_until_idle()
    assert (first.status, second.status) == ("completed", "completed")
    began = min(event.timestamp_us for event in second.events if isinstance(event, StepStarted))
    assert began > max(event.timestamp_us for event in first.events)
