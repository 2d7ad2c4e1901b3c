"""What S3 says where an object or a right is missing, and bodies that break while they are read."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.exceptions import (
    ClientError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from cascade_flow import clock, errors
from cascade_flow.api.problems import status_of
from cascade_flow.offload import Bucket
from simulation import BEGIN_US, TickingClock

KEY = "payloads/5feceb66"
MAY_NOT_LIST = (
    "User: arn:aws:sts::123456789012:assumed-role/cascade-worker/w is not authorized to perform: s3:ListBucket on "
    'resource: "arn:aws:s3:::b" because no identity-based policy allows the s3:ListBucket action'
)
MAY_NOT_READ = MAY_NOT_LIST.replace("s3:ListBucket", "s3:GetObject")
BREAKS: list[Callable[[], Exception]] = [
    lambda: IncompleteReadError(actual_bytes=10, expected_bytes=30_000_000),
    lambda: ReadTimeoutError(endpoint_url="https://b.s3.amazonaws.com"),
    lambda: ResponseStreamingError(error=ConnectionResetError("reset by peer")),
]


class Answers:
    """A client of S3 that gives these answers, one after the other; the last of them for ever."""

    def __init__(self, *answers: Exception | BytesIO) -> None:
        self._answers = list(answers)
        self.asked = 0

    def get_object(self, **_: Any) -> dict[str, Any]:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"Body": answer}

    put_object = get_object


class Broken(BytesIO):
    """A body that breaks while it is read."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def read(self, *_: Any) -> bytes:
        raise self._error


def refused(code: str, message: str = "Access Denied", operation: str = "GetObject") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    "answer",
    [
        refused("NoSuchKey", "The specified key does not exist."),
        refused("AccessDenied", MAY_NOT_LIST),
    ],
    ids=["to who may list the bucket", "to who may not"],
)
def test_a_lost_object_is_gone_whatever_s3_calls_that(answer: ClientError) -> None:
    with pytest.raises(errors.PayloadLostError, match="run it anew") as caught:
        Bucket("b", client=Answers(answer)).get(KEY)
    assert status_of(caught.value) == 410


@pytest.mark.parametrize("message", [MAY_NOT_READ, "Access Denied"])
def test_a_read_that_is_denied_says_which_rights_it_takes(message: str) -> None:
    refusal = pytest.raises(errors.ConfigurationError, match=r"s3:GetObject on the folder payloads/.*s3:ListBucket")
    with refusal:
        Bucket("b", client=Answers(refused("AccessDenied", message))).get(KEY)


@pytest.mark.parametrize("message", [MAY_NOT_LIST, "Access Denied"])
def test_a_write_that_is_denied_says_which_right_it_takes(message: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="s3:PutObject on the folder payloads/") as caught:
        Bucket("b", client=Answers(refused("AccessDenied", message, "PutObject"))).put(b"x")
    assert "ListBucket" not in str(caught.value).partition("grant")[2]


@pytest.mark.parametrize(
    "error",
    [
        *map(refused, ("NoSuchBucket", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch")),
        NoCredentialsError(),
    ],
)
def test_a_bucket_that_cannot_be_used_is_a_matter_of_set_up(error: Exception) -> None:
    with pytest.raises(errors.ConfigurationError, match="check the bucket's name"):
        Bucket("b", client=Answers(error)).get(KEY)


@pytest.mark.parametrize("error", BREAKS)
def test_a_body_that_breaks_while_it_is_read_is_read_again(error: Callable[[], Exception]) -> None:
    client = Answers(Broken(error()), Broken(error()), BytesIO(b"whole"))
    with clock.use(TickingClock()):
        assert Bucket("b", client=client).get(KEY) == b"whole"
    assert client.asked == 3


@pytest.mark.parametrize("error", BREAKS)
def test_a_body_that_always_breaks_is_told_in_the_end(error: Callable[[], Exception]) -> None:
    client = Answers(Broken(error()))
    away = pytest.raises(errors.BackendUnavailableError, match="can't be read from")
    with clock.use(TickingClock(tick_us=0)) as time, away:
        Bucket("b", client=client).get(KEY)
    assert client.asked == 4
    assert time.now_us() - BEGIN_US == 50_000 + 100_000 + 200_000


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchKey", "InternalError"])
def test_what_s3_has_answered_is_not_asked_for_again(code: str) -> None:
    client = Answers(refused(code))
    with pytest.raises(errors.CascadeFlowError):
        Bucket("b", client=client).get(KEY)
    assert client.asked == 1


def test_a_write_that_fails_is_told_as_one() -> None:
    with pytest.raises(errors.BackendUnavailableError, match="can't be stored in bucket b"):
        Bucket("b", client=Answers(refused("InternalError", operation="PutObject"))).put(b"packed")


def test_an_object_says_what_it_is_and_is_written_again_where_its_age_is_to_begin_anew() -> None:
    put: list[dict[str, Any]] = []

    class Stored(Answers):
        def put_object(self, **request: Any) -> dict[str, Any]:
            put.append(request)
            return {}

    Bucket("b", client=Stored(BytesIO(b"packed"))).renew(KEY)
    key = f"payloads/{sha256(b'packed').hexdigest()}"
    kind = {"ContentType": "application/json", "ContentEncoding": "gzip"}
    assert put == [{"Bucket": "b", "Key": key, "Body": b"packed", **kind}]


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "bucket-of-orders.s3.us-east-1.amazonaws.com"),
        ("eu-central-1", "bucket-of-orders.s3.eu-central-1.amazonaws.com"),
        ("cn-north-1", "bucket-of-orders.s3.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "bucket-of-orders.s3.us-gov-west-1.amazonaws.com"),
    ],
)
def test_an_address_is_its_regions_own_and_signed_for_a_while(
    monkeypatch: pytest.MonkeyPatch, region: str, host: str
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "t"}
    for name, value in {**keys, "AWS_DEFAULT_REGION": region}.items():
        monkeypatch.setenv(name, value)
    address = urlsplit(Bucket("bucket-of-orders").address(KEY))
    said = dict(parse_qsl(address.query))
    assert (address.scheme, address.netloc, address.path) == ("https", host, f"/{KEY}")
    assert (said["X-Amz-Algorithm"], said["X-Amz-Expires"]) == ("AWS4-HMAC-SHA256", "900")
    assert (said["X-Amz-SignedHeaders"], said["X-Amz-Security-Token"]) == ("host", "t")
