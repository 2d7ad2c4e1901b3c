"""What it takes to read a run whose outputs lie outside of its events: requests for what is answered, and no others."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cascade_flow import DynamoDBBackend
from cascade_flow.offload import Bucket
from cascade_flow.operations.details import Details
from cascade_flow.operations.outputs import inputs_of
from cascade_flow.operations.steps import Steps
from cascade_flow.testing.memory.bucket_client import BucketClient
from cascade_flow.wake import Wake
from contract.outside import Outside, register, step, submit
from testbed.meter import Meter, meter
from testbed.servers import Store

LARGE = random.Random(5).randbytes(40_000).hex()
"""More than 32 KB when it is packed."""
MIDDLING = random.Random(6).randbytes(2_000).hex()
"""Too long to ride in an event."""


class Counting(BucketClient):
    """Counts what is read, and how many readers there are at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.together: threading.Barrier | None = None

    def get_object(self, **place: str) -> dict[str, Any]:
        self.reads += 1
        if self.together is not None:
            self.together.wait(timeout=20)
        return super().get_object(**place)


@dataclass
class Reading:
    """A backend with a bucket, and what is asked of both."""

    backend: DynamoDBBackend
    bucket: Counting
    counting: Meter

    @property
    def details(self) -> Details:
        self.counting.reset()
        self.bucket.reads = 0
        return Details(self.backend.runtime)

    def asked(self) -> list[str]:
        return [line.operation for line in self.counting.lines]

    def run_of(self, width: int, output: str) -> str:
        """A run of so many parallel steps, all but the last step's output being this."""
        names = [f"p{n:03}" for n in range(width)]
        register(self.backend, *map(step, names), step("end", *names, export_output=True))
        run = Outside(self.backend, submit(self.backend, input=output))
        for number, name in enumerate(names):
            run.complete(name, run.take(name), output=f"{number}{output}")
        return run.run_id


@pytest.fixture
def reading(dynamodb: Store) -> Iterator[Reading]:
    bucket = Counting()
    backend = DynamoDBBackend(dynamodb.table, client=dynamodb.client, bucket=Bucket("b", client=bucket))
    with meter(dynamodb.client, dynamodb.table) as counting:
        yield Reading(backend, bucket, counting)


def test_a_run_of_sixty_steps_with_outputs_in_the_bucket_is_one_query(reading: Reading) -> None:
    run_id = reading.run_of(60, LARGE)
    shown = reading.details.run(run_id)
    assert (len(shown.steps or ()), reading.asked(), reading.bucket.reads) == (61, ["Query"], 0)


def test_a_run_of_sixty_steps_with_outputs_aside_reads_the_inputs_item_alone(reading: Reading) -> None:
    run_id = reading.run_of(60, MIDDLING)
    reading.details.run(run_id)
    assert reading.asked() == ["Query", "BatchGetItem"]
    reading.details.run(run_id, payloads=False)
    assert reading.asked() == ["Query"]


def test_the_logs_of_a_hundred_and_twenty_steps_take_no_payload(reading: Reading) -> None:
    run_id = reading.run_of(120, MIDDLING)
    reading.details.logs(run_id, step_id=None, attempt=None)
    assert (set(reading.asked()), reading.bucket.reads) == ({"Query"}, 0)
    assert len(reading.asked()) <= 3, "the history, and the log"


def test_a_page_of_events_reads_the_payloads_of_that_page_at_most(reading: Reading) -> None:
    run_id = reading.run_of(120, MIDDLING)
    told = reading.details.events(run_id, types=["StepCompleted"])
    assert next(told).event.type == "StepCompleted"
    assert reading.asked() == ["Query", "BatchGetItem"]
    assert len(list(told)) == 119
    assert reading.asked() == ["Query", "BatchGetItem", "BatchGetItem"]


def test_events_without_payloads_are_one_query(reading: Reading) -> None:
    run_id = reading.run_of(120, MIDDLING)
    assert len(list(reading.details.events(run_id, types=["StepCompleted"], payloads=False))) == 120
    assert (reading.asked(), reading.bucket.reads) == (["Query"], 0)


def test_cancelling_reads_no_payload(reading: Reading) -> None:
    run_id = reading.run_of(2, LARGE)
    reading.details.run(run_id)
    reading.backend.cancel_run(run_id)
    assert reading.details.brief(run_id).status == "cancelled"
    assert (reading.asked(), reading.bucket.reads) == (["GetItem"], 0)


def test_a_workers_inputs_are_read_side_by_side(reading: Reading) -> None:
    run_id = reading.run_of(4, LARGE)
    steps = Steps(reading.backend.runtime)
    held = steps.claim(Wake(run_id, "end", "end", 1), "worker")
    assert held
    reading.bucket.together = threading.Barrier(4)
    given = inputs_of(reading.backend.runtime, held.facts, held.branch, held.records)
    assert given == {f"p{n:03}": f'"{n}{LARGE}"' for n in range(4)}
