"""Payloads that no item should hold: they lie in a bucket, under the hash of their content, and nobody notices."""

from __future__ import annotations

import json
import secrets

import pytest

from cascade_flow import (
    BackendUnavailableError,
    ConfigurationError,
    DynamoDBBackend,
    PayloadLostError,
    PayloadTooLargeError,
    StepCompleted,
    StepNotFoundError,
    WorkflowCompleted,
)
from cascade_flow.dynamodb.codec import zipped
from cascade_flow.offload import Bucket
from checker import check_run
from contract.called import Called
from contract.outside import FLOW, Outside, register, step, submit
from simulation import TIMING, TickingClock
from testbed import wire
from testbed.faults import Kind, at, faults
from testbed.inprocess import MotoTransport
from testbed.servers import Store, connect

pytestmark = pytest.mark.servers("ministack")
BUCKET = "payloads-of-tests"


@pytest.fixture
def bucket() -> Bucket:
    client = connect("s3", None)
    wire.install(client, MotoTransport())
    client.create_bucket(Bucket=BUCKET)
    return Bucket(BUCKET, client=client)


@pytest.fixture
def offloading(dynamodb: Store, time: TickingClock, bucket: Bucket) -> DynamoDBBackend:
    return DynamoDBBackend(dynamodb.table, client=dynamodb.client, bucket=bucket, timing=TIMING)


def large() -> dict[str, list[str]]:
    return {"rows": [secrets.token_hex(32) for _ in range(20_000)]}


def test_large_inputs_and_outputs_come_back_whole(offloading: DynamoDBBackend) -> None:
    register(offloading, step("a"), step("b", "a", export_output=True))
    given, made = large(), large()
    run_id = submit(offloading, input=given)
    worker = Outside(offloading, run_id)
    for name in ("a", "b"):
        attempt = worker.take(name)
        offloading.save_step_complete(FLOW, run_id, name, made, duration_us=1, attempt_number=attempt)
    checked = check_run(offloading, run_id)
    ends = [event.output for event in checked.events if isinstance(event, StepCompleted | WorkflowCompleted)]
    assert [json.loads(end) for end in ends] == [made, made, {"b": made}]
    state = offloading.get_run(run_id)
    assert state is not None
    assert json.loads(state.input or "") == given


def test_a_rerun_finds_what_its_parent_has_offloaded(offloading: DynamoDBBackend) -> None:
    register(offloading, step("a"), step("b", "a", export_output=True))
    run_id, made = submit(offloading), large()
    worker = Outside(offloading, run_id)
    for name in ("a", "b"):
        attempt = worker.take(name)
        offloading.save_step_complete(FLOW, run_id, name, made, duration_us=1, attempt_number=attempt)
    again = offloading.rerun_from(parent_run_id=run_id, from_step_id="b").run_id
    outputs = [event.output for event in check_run(offloading, again).events if isinstance(event, StepCompleted)]
    assert [json.loads(output) for output in outputs] == [made]


def test_beyond_fifty_megabytes_a_payload_is_refused(offloading: DynamoDBBackend) -> None:
    register(offloading, step("a"))
    with pytest.raises(PayloadTooLargeError, match="store it yourself"):
        submit(offloading, input="x" * 30_000_000 + secrets.token_hex(11_000_000))


def test_without_its_bucket_a_payload_says_what_is_missing(offloading: DynamoDBBackend, dynamodb: Store) -> None:
    register(offloading, step("a"))
    run_id = submit(offloading, input=large())
    with pytest.raises(ConfigurationError, match="bucket"):
        DynamoDBBackend(dynamodb.table, client=dynamodb.client).get_run(run_id)
    check_run(offloading, run_id)


def test_a_payload_that_was_deleted_is_named(offloading: DynamoDBBackend, bucket: Bucket) -> None:
    register(offloading, step("a"))
    run_id = submit(offloading, input=large())
    state = offloading.get_run(run_id)
    assert state is not None
    key = bucket.put(zipped(state.input or ""))
    bucket.client.delete_object(Bucket=BUCKET, Key=key)
    with pytest.raises(PayloadLostError, match="run it anew"):
        offloading.get_run(run_id)
    bucket.put(zipped(state.input or ""))
    assert offloading.get_run(run_id) == state


def test_a_bucket_that_is_not_there_is_a_matter_of_configuration(bucket: Bucket) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere.*check the bucket"):
        Bucket("nowhere", client=bucket.client).put(b"any")


def test_a_bucket_that_cannot_be_reached_may_be_so_later(bucket: Bucket) -> None:
    broken = at(dict.fromkeys(range(1, 9), Kind.ERROR_500))
    with faults(broken, bucket.client), pytest.raises(BackendUnavailableError, match="can't be read"):
        bucket.get("payloads/any")


def test_the_same_content_is_one_object(bucket: Bucket) -> None:
    assert bucket.put(b"same") == bucket.put(b"same")
    assert bucket.get(bucket.put(b"same")) == b"same"


def test_a_large_output_has_a_path(offloading: DynamoDBBackend, bucket: Bucket) -> None:
    for run in (Outside.at(offloading, step("a")), Called.with_step(offloading)):
        run.complete("a", run.take("a"), large())
        path = offloading.get_step_output_path(FLOW, run.run_id, "a", 1)
        assert path.startswith(f"s3://{BUCKET}/")
        assert bucket.get(path.removeprefix(f"s3://{BUCKET}/"))
        with pytest.raises(StepNotFoundError, match="no output in S3"):
            offloading.get_step_output_path(FLOW, run.run_id, "a", 2)
        check_run(offloading, run.run_id)


def test_large_outputs_are_copied_with_their_run(offloading: DynamoDBBackend) -> None:
    run, made = Called.with_step(offloading), large()
    run.complete("a", run.take("a"), made)
    offloading.copy_entire_run(FLOW, run.run_id, "copy")
    [completed] = Called(offloading, "copy").events("StepCompleted")
    assert json.loads(completed.output) == made
    check_run(offloading, "copy")
