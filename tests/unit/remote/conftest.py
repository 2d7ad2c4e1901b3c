"""What the parts of a worker elsewhere speak to in these tests: an API that notes what it is told."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from cascade_flow import clock
from cascade_flow.client.asking import Json

START_US = 1_700_000_000_000_000
LEASE_US = 30_000_000


def claim_of(**more: Any) -> Json:
    """A claim of the first attempt of `train`."""
    return {
        "runId": "r",
        "workflowSlug": "flow",
        "stepId": "train",
        "attemptNumber": 1,
        "firstRunId": "r",
        "leaseUs": LEASE_US,
        "timeoutUs": None,
        "startedAtUs": START_US,
        "input": None,
        "outputs": {},
        "skipped": [],
        "checkpoints": [],
        **more,
    }


class Api:
    """Notes what a client is asked for. `answers` has, by method, what it answers or raises, one after the other."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.answers: defaultdict[str, list[Any]] = defaultdict(list)

    def __getattr__(self, method: str) -> Any:
        def ask(*given: Any, **more: Any) -> Any:
            self.asked.append((method, given, more))
            answer = self.answers[method].pop(0) if self.answers[method] else {"status": "completed"}
            if isinstance(answer, Exception):
                raise answer
            return answer() if callable(answer) else answer

        return ask

    def given(self, claim: Json) -> Json:
        return {**claim, **(self.answers["given"].pop(0) if self.answers["given"] else {})}

    def told(self, method: str) -> list[dict[str, Any]]:
        """What was named with each call of this method."""
        return [more for name, _, more in self.asked if name == method]


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def time() -> Iterator[clock.SteppingClock]:
    """Pauses are drawn by chance: by the same here each time."""
    random.seed(1)
    with clock.use(clock.SteppingClock(START_US)) as still:
        yield still
