"""A bucket of this process gives back what it holds, says what it misses, and fails as S3 does."""

from typing import Any

import pytest
from botocore.config import Config

from cascade_flow.testing.memory.bucket_client import BucketClient
from testbed import wire
from testbed.faults import Kind, at, faults
from testbed.inprocess import MotoTransport
from testbed.servers import connect
from testbed.wire import REFUSALS

PLACE = {"Bucket": "payloads", "Key": "payloads/a"}


def of_moto() -> Any:
    client = connect("s3", None, Config(retries={"mode": "standard", "max_attempts": 5}))
    wire.install(client, MotoTransport())
    client.create_bucket(Bucket=PLACE["Bucket"])
    client.delete_object(**PLACE)
    return client


def put(client: Any) -> None:
    client.put_object(**PLACE, Body=b"packed", ContentType="application/octet-stream")


@pytest.mark.parametrize("made", [BucketClient, of_moto])
@pytest.mark.parametrize("kind", [None, Kind.DROP_BEFORE, Kind.DROP_AFTER])
def test_what_is_put_is_got_though_a_connection_closes(made: Any, kind: Kind | None) -> None:
    client = made()
    with faults(at({1: kind, 3: kind} if kind else {}), client) as broken:
        put(client)
        assert client.get_object(**PLACE)["Body"].read() == b"packed"
    assert len(broken.log) == (4 if kind else 2)


@pytest.mark.parametrize("made", [BucketClient, of_moto])
def test_what_is_missing_is_named(made: Any) -> None:
    with pytest.raises(REFUSALS) as refused:
        made().get_object(**PLACE)
    assert refused.value.response["Error"]["Code"] == "NoSuchKey"


@pytest.mark.parametrize(("kind", "code"), [(Kind.THROTTLE, "SlowDown"), (Kind.ERROR_500, "InternalServerError")])
def test_it_is_asked_five_times(kind: Kind, code: str) -> None:
    client = BucketClient()
    with faults(at(dict.fromkeys(range(1, 5), kind)), client):
        put(client)
    with faults(lambda *_: kind, client) as broken, pytest.raises(REFUSALS) as refused:
        put(client)
    assert refused.value.response["Error"]["Code"] == code
    assert len(broken.log) == 5


def test_twins_have_the_same_objects() -> None:
    one = BucketClient()
    put(one)
    assert one.twin().get_object(**PLACE)["Body"].read() == b"packed"
