"""Inputs and outputs in a bucket, over HTTP: nobody reads them there but who was given their address."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

import events
from cascade_flow import DynamoDBBackend, LogEntry, clock
from cascade_flow.api import representations, resources
from cascade_flow.dynamodb.codec import inflate
from cascade_flow.offload import ADDRESS_S, Bucket
from cascade_flow.testing.memory.bucket_client import BucketClient
from checker import check_run
from events.deployed import Functions, Reply

pytestmark = pytest.mark.servers("ministack")

_chance = random.Random(3)
NOISE = [_chance.random() for _ in range(20_000)]
"""Some 400 KB of JSON, 170 KB packed."""


class Watched(BucketClient):
    """A bucket that says what is asked of it, and refuses what is not `granted`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.granted = {"PutObject", "GetObject"}

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        self.asked.append(operation)
        if operation not in self.granted:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, operation)
        return super().ask(operation, **arguments)

    def behind(self, address: str) -> str:
        """What lies at an address."""
        place, _, how = address.removeprefix("memory://").partition("?")
        bucket, _, key = place.partition("/")
        assert how == f"operation=get_object&expires={ADDRESS_S}"
        return inflate(self.objects[bucket, key])


@pytest.fixture
def bucket() -> Watched:
    return Watched()


@pytest.fixture
def large(functions: Functions, bucket: Watched) -> Iterator[Functions]:
    """The functions, around a bucket too."""
    runtime = functions.backend.runtime
    backend = DynamoDBBackend(
        runtime.ledger.table.name,
        client=runtime.ledger.table.client,
        bucket=Bucket("payloads", client=bucket),
        queue=runtime.queue,
        timing=runtime.timing,
    )
    with resources.use(backend.runtime):
        yield Functions(backend, functions.sqs, functions.queue_url)


@pytest.fixture
def half_done(large: Functions, bucket: Watched) -> str:
    """A run with its input and an output in the bucket; from here on the functions may do nothing with it."""
    run_id = large.submit(input={"weights": [1.5], "insured": True, "note": NOISE[:10_000]})
    complete(large, run_id, "weigh", NOISE)
    bucket.asked.clear()
    bucket.granted = set()
    return run_id


def complete(large: Functions, run_id: str, step_id: str, output: Any) -> None:
    backend = large.backend
    claim = backend.claim_scheduled_step("parcels", run_id, step_id, "mila")
    assert claim
    backend.save_step_complete(
        "parcels", run_id, step_id, output, duration_us=1, attempt_number=1, export_output=step_id == "bill"
    )


def test_checkpoints_without_end_stand_as_an_address(
    large: Functions, bucket: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim that were refused for its size would leave the step claimed, and nobody at work on it."""
    monkeypatch.setattr(representations, "CHECKPOINTS_BYTES", 100)
    run_id = large.submit()
    complete(large, run_id, "weigh", 3.5)
    claim = events.post("/steps/claim", {"workerId": "mila", "runId": run_id, "stepId": "price/post"})
    assert large.http("claim", claim).json["checkpoints"] == []
    parts = [{"name": "scale", "sequence": number, "data": data} for number, data in enumerate([[1], NOISE])]
    for what, told in [*(("checkpoint", part) for part in parts), ("release", {})]:
        said = {"workerId": "mila", "attemptNumber": 1, **told}
        assert large.http("heartbeat", events.post(f"/runs/{run_id}/steps/price/post/{what}", said)).status == 200
    given = large.http("claim", claim).json
    assert given["checkpoints"] == []
    first, second = json.loads(bucket.behind(given["checkpointsUrl"]))
    assert first == {"name": "scale", "sequence": 0, "attemptNumber": 1, "data": [1]}
    assert json.loads(bucket.behind(second["dataUrl"])) == NOISE


def test_every_route_answers_though_its_function_may_not_touch_the_bucket(
    large: Functions, bucket: Watched, half_done: str
) -> None:
    beat = {"workerId": "jon", "attemptNumber": 1}
    step = {"workerId": "jon", "runId": half_done, "stepId": "price/post"}
    replies: list[Reply] = [
        large.http("query", events.get(f"/runs/{half_done}")),
        large.http("query", events.get(f"/runs/{half_done}?payloads=false")),
        large.http("query", events.get(f"/runs/{half_done}/events")),
        large.http("query", events.get(f"/runs/{half_done}/logs")),
        large.http("query", events.get("/runs")),
        large.http("claim", events.post("/steps/claim", step)),
        large.http("heartbeat", events.post(f"/runs/{half_done}/steps/price/post/heartbeat", beat)),
        large.http("submission", events.post(f"/runs/{half_done}/cancel", {})),
    ]
    assert [reply.status for reply in replies] == [200] * len(replies)
    assert bucket.asked == [], "nothing was read there to be thrown away"
    assert replies[-1].json["run"]["status"] == "cancelled"
    bucket.granted = {"GetObject"}
    check_run(large.backend, half_done)


def test_a_run_names_the_addresses_of_what_is_in_the_bucket(large: Functions, bucket: Watched, half_done: str) -> None:
    shown = large.http("query", events.get(f"/runs/{half_done}")).json
    assert "input" not in shown["run"]
    assert bucket.behind(shown["run"]["inputUrl"]).startswith('{"weights":[1.5]')
    assert shown["output"] is None
    bucket.granted = {"GetObject", "PutObject"}
    for step_id in ("price/post", "price/insurance"):
        complete(large, half_done, step_id, 1)
    complete(large, half_done, "bill", {"total": NOISE})
    done = large.http("query", events.get(f"/runs/{half_done}")).json
    assert "output" not in done
    assert bucket.behind(done["outputUrl"]).startswith('{"bill":{"total":[')
    brief = large.http("query", events.get(f"/runs/{half_done}?payloads=false")).json
    assert (brief["output"], "outputUrl" in brief, "inputUrl" in brief["run"]) == (None, False, False)
    check_run(large.backend, half_done)


def test_events_name_the_addresses_of_their_texts(large: Functions, bucket: Watched, half_done: str) -> None:
    told = large.http("query", events.get(f"/runs/{half_done}/events")).json["events"]
    submitted, completed = told[0], next(event for event in told if event["type"] == "StepCompleted")
    assert ("input" in submitted, "output" in completed) == (False, False)
    bucket.granted = {"GetObject"}
    whole = {event.timestamp_us: event for event in large.backend.load_events("parcels", half_done)}
    assert bucket.behind(submitted["inputUrl"]) == whole[submitted["timestampUs"]].input  # type: ignore[union-attr]
    assert bucket.behind(completed["outputUrl"]) == whole[completed["timestampUs"]].output  # type: ignore[union-attr]


def test_a_claim_hands_on_the_addresses_of_what_the_step_is_given(
    large: Functions, bucket: Watched, half_done: str
) -> None:
    wish = {"workerId": "jon", "runId": half_done, "stepId": "price/post"}
    given = large.http("claim", events.post("/steps/claim", wish)).json
    assert given["outputs"] == {}
    assert "input" not in given
    assert bucket.behind(given["outputUrls"]["weigh"]).startswith("[0.")
    assert bucket.behind(given["inputUrl"]).startswith('{"weights"')
    bucket.granted = {"GetObject"}
    check_run(large.backend, half_done)


def test_only_what_the_table_keeps_is_read_with_its_run(large: Functions, bucket: Watched) -> None:
    run_id = large.submit(input={"weights": [1.5], "note": NOISE[:500]})
    line = LogEntry(
        timestamp_us=clock.now_us(), workflow_slug="parcels", run_id=run_id, step_id="weigh", stream="stdout",
        attempt_number=1, message="hello",
    )  # fmt: skip
    large.backend.save_step_logs("parcels", run_id, "weigh", [line])
    shown = large.http("query", events.get(f"/runs/{run_id}")).json
    assert shown["run"]["input"]["note"] == NOISE[:500]
    [told] = large.http("query", events.get(f"/runs/{run_id}/logs")).json["lines"]
    assert told["message"] == "hello"
    assert bucket.asked == []
    check_run(large.backend, run_id)
