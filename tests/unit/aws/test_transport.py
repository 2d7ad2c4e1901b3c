"""The lean client against a server that misbehaves in every way that AWS or a network knows."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from email.utils import formatdate
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cascade_flow import clock
from cascade_flow.aws.connections import KEPT, Connections
from cascade_flow.aws.failures import NotReached, ServiceError
from cascade_flow.aws.opening import Limits, lean
from cascade_flow.aws.service import Place
from cascade_flow.signing import StaticKeys
from unit.aws.conftest import NOW_US
from unit.aws.misbehaving import CLOSED, Heard, answer, chunked, gzipped, misbehaving, refusal

KEYS = StaticKeys("AKIDEXAMPLE", "secret", "token")
ITEM = {"Item": {"pk": {"S": "a"}, "n": {"N": "7"}}}
TRIES = 4


@contextmanager
def talking(*script: bytes, keys: Sequence[StaticKeys] = (KEYS,), read_s: float = 5) -> Iterator[tuple[Any, Heard]]:
    """A client of DynamoDB at such a server; each look at the keys finds the next, and the last one for ever."""
    left = list(keys)
    with misbehaving(script) as (url, heard):
        place = Place("dynamodb", url, "eu-west-1", lambda: left.pop(0) if len(left) > 1 else left[0])
        client = lean(place, Limits(connect_s=5, read_s=read_s, tries=TRIES))
        try:
            yield client, heard
        finally:
            client.close()


def get(client: Any) -> Any:
    return client.get_item(TableName="t", Key={"pk": {"S": "a"}})


@pytest.mark.parametrize(
    ("first", "connections"),
    [
        (answer(b"<html>", 500), 1),
        (refusal("InternalServerError", 500), 1),
        (answer(b"", 503), 1),
        (refusal("ThrottlingException"), 1),
        (refusal("ProvisionedThroughputExceededException"), 1),
        (refusal("TransactionInProgressException"), 1),
        (CLOSED, 2),
        (answer(ITEM, x_amz_crc32="1"), 1),
        (answer(b'{"Item": {"pk"', x_amz_crc32="1"), 1),
        (b"HTTP/1.1 200 Told\r\nContent-Length: 500\r\n\r\n{...", 2),
        (b"no HTTP...", 2),
        (chunked(ITEM, is_whole=False) + b"...", 2),
        (answer(b"no gzip", Content_Encoding="gzip"), 1),
    ],
)
def test_what_may_pass_is_tried_again(first: bytes, connections: int) -> None:
    with talking(first, answer(ITEM)) as (client, heard):
        assert get(client) == ITEM
        assert len(heard.requests) == 2
        assert heard.connections == connections


@pytest.mark.parametrize("told", [answer(ITEM), gzipped(ITEM), chunked(ITEM), answer(ITEM, keep=False)])
def test_every_form_of_an_answer_is_read(told: bytes) -> None:
    with talking(told, told) as (client, heard):
        assert [get(client), get(client)] == [ITEM, ITEM]
        assert heard.connections == (2 if b"close" in told else 1)


@pytest.mark.parametrize("lost", [CLOSED, b"HTTP/1.1 200 Told\r\nContent-Length: 500\r\n\r\n{..."])
def test_a_kept_connection_that_the_server_has_closed_costs_no_try(still: clock.SteppingClock, lost: bytes) -> None:
    with talking(answer(ITEM), lost, answer(ITEM)) as (client, heard):
        assert [get(client), get(client)] == [ITEM, ITEM]
        assert still.now_us() == NOW_US
        assert heard.connections == 2


def test_a_fork_shares_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with talking(answer(ITEM), answer(ITEM)) as (client, heard):
        get(client)
        connections = client.service.exchange.__self__
        [[parents]] = connections._idle.values()
        monkeypatch.setattr(connections, "_process", 0)
        with closing(parents):
            get(client)
        assert heard.connections == 2


def test_no_more_connections_are_kept_than_are_of_use() -> None:
    connections = Connections(connect_s=1, read_s=1)
    for _ in range(KEPT + 1):
        connections._put_away(HTTPConnection("host"), "host", is_whole=True)
    assert len(connections._idle["host"]) == KEPT


@pytest.mark.parametrize("told", [refusal("ThrottlingException"), answer(b"", 500)])
def test_it_gives_up_in_the_end(told: bytes) -> None:
    with talking(*[told] * TRIES) as (client, heard), pytest.raises(ServiceError):
        get(client)
    assert len(heard.requests) == TRIES


def test_a_refusal_is_an_answer() -> None:
    said = {"__type": "x#ConditionalCheckFailedException", "Message": "false", "Item": {"a": {"B": "AAE="}}}
    with talking(answer(said, 400)) as (client, heard), pytest.raises(ServiceError) as caught:
        client.put_item(TableName="t", Item={"a": {"B": b"\x00\x01"}})
    assert caught.value.code == "ConditionalCheckFailedException"
    assert caught.value.response["Item"] == {"a": {"B": "AAE="}}
    assert heard.requests[0][2] == b'{"TableName": "t", "Item": {"a": {"B": "AAE="}}}'


@pytest.mark.parametrize(
    ("code", "hours"), [("InvalidSignatureException", 1), ("RequestExpired", 1), ("RequestTimeTooSkewed", -1)]
)
def test_a_clock_that_is_wrong_is_put_right_once(code: str, hours: int) -> None:
    with talking(refusal(code, Date=in_hours(hours)), answer(ITEM), answer(ITEM)) as (client, heard):
        assert [get(client), get(client)] == [ITEM, ITEM]
        assert hours_of(heard) == [0, hours, hours]


def test_a_clock_that_is_wrong_again_is_put_right_again() -> None:
    first, second = (refusal("RequestExpired", Date=in_hours(hours)) for hours in (1, 3))
    with talking(first, answer(ITEM), second, answer(ITEM)) as (client, heard):
        assert [get(client), get(client)] == [ITEM, ITEM]
        assert hours_of(heard) == [0, 1, 1, 3]


def in_hours(hours: int) -> str:
    return formatdate(clock.now_us() / 1_000_000 + hours * 3_600, usegmt=True)


def hours_of(heard: Heard) -> list[int]:
    """By which clock each request was signed, from the first on."""
    signed = [datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ") for _, headers, _ in heard.requests]
    return [round((each - signed[0]).total_seconds() / 3_600) for each in signed]


def test_addresses_are_signed_by_the_clock_that_was_put_right() -> None:
    ahead = formatdate(clock.now_us() / 1_000_000 + 86_400, usegmt=True)
    with misbehaving([answer(b"<Error><Code>RequestTimeTooSkewed</Code></Error>", 403, Date=ahead), answer(b"")]) as (
        url,
        _,
    ):
        client = lean(Place("s3", url, "eu-west-1", lambda: KEYS), Limits(5, 5, 2))
        wish = {"Params": {"Bucket": "b", "Key": "a"}, "ExpiresIn": 900}
        before = client.generate_presigned_url("get_object", **wish)
        client.put_object(Bucket="b", Key="a", Body=b"")
        after = client.generate_presigned_url("get_object", **wish)
        client.close()
    dates = [parse_qs(urlsplit(each).query)["X-Amz-Date"][0][:8] for each in (before, after)]
    assert int(dates[0]) < int(dates[1])


def test_a_signature_that_is_refused_at_the_right_time_is_not_sent_again() -> None:
    now = formatdate(clock.now_us() / 1_000_000, usegmt=True)
    with talking(refusal("InvalidSignatureException", Date=now)) as (client, heard), pytest.raises(ServiceError):
        get(client)
    assert len(heard.requests) == 1


def test_keys_that_have_expired_are_read_again() -> None:
    fresh = StaticKeys("AKIDFRESH", "secret")
    with talking(refusal("ExpiredTokenException"), answer(ITEM), keys=(KEYS, fresh)) as (client, heard):
        assert get(client) == ITEM
        assert [name in heard.requests[1][1]["authorization"] for name in ("AKIDFRESH", "AKIDEXAMPLE")] == [True, False]


def test_keys_that_stay_expired_are_told_of() -> None:
    with talking(refusal("ExpiredTokenException")) as (client, heard), pytest.raises(ServiceError, match="Expired"):
        get(client)
    assert len(heard.requests) == 1


def test_a_server_that_says_nothing_is_not_waited_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = Place("dynamodb", f"http://127.0.0.1:{silent.getsockname()[1]}", "eu-west-1", lambda: KEYS)
        client = lean(place, Limits(connect_s=1, read_s=0.05, tries=2))
        with pytest.raises(NotReached, match="timed out"):
            get(client)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    client = lean(Place("dynamodb", f"http://127.0.0.1:{port}", "r", lambda: KEYS), Limits(1, 1, 2))
    with pytest.raises(NotReached, match="refused"):
        get(client)
