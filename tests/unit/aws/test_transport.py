"""The lean client against a server that misbehaves in every way that AWS or a network knows."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from email.utils import formatdate
from gzip import compress
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cascade_flow import clock
from cascade_flow.aws.connections import KEPT, Connections
from cascade_flow.aws.failures import Failure, NotReached, ServiceError
from cascade_flow.aws.opening import Limits, lean
from cascade_flow.aws.service import Place
from cascade_flow.signing import StaticKeys
from unit.aws.conftest import NOW_US
from unit.aws.misbehaving import CLOSED, Heard, answer, chunked, gzipped, misbehaving, refusal

KEYS = StaticKeys("AKIDEXAMPLE", "secret", "token")
ITEM = {"Item": {"pk": {"S": "a"}, "n": {"N": "7"}}}
TRIES = 4


@contextmanager
def talking(
    *script: bytes, keys: Sequence[StaticKeys] = (KEYS,), read_s: float = 5, tries: int = TRIES
) -> Iterator[tuple[Any, Heard]]:
    """A client of DynamoDB at such a server; each look at the keys finds the next, and the last one for ever."""
    left = list(keys)
    with misbehaving(script) as (url, heard):
        place = Place("dynamodb", url, "eu-west-1", lambda: left.pop(0) if len(left) > 1 else left[0])
        client = lean(place, Limits(connect_s=5, read_s=read_s, tries=tries))
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
        (answer(compress(b"{}")[:-4], Content_Encoding="gzip"), 1),
        (answer({"__type": "ValidationException"}, 400, x_amz_crc32="1"), 1),
    ],
)
def test_what_may_pass_is_tried_again(first: bytes, connections: int) -> None:
    with talking(first, answer(ITEM)) as (client, heard):
        assert get(client) == ITEM
        assert len(heard.requests) == 2
        assert heard.connections == connections


@pytest.mark.parametrize(
    "code",
    [
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "TooManyRequestsException",
    ],
)
def test_whatever_says_that_too_much_is_asked_is_tried_again(code: str) -> None:
    with talking(refusal(code), answer(ITEM)) as (client, heard):
        assert get(client) == ITEM
        assert len(heard.requests) == 2


@pytest.mark.parametrize(("status", "tries"), [(300, 1), (400, 1), (500, 2), (501, 1), (502, 2), (503, 2), (504, 2)])
def test_what_the_service_failed_at_is_tried_again_and_what_it_does_not_do_is_told(status: int, tries: int) -> None:
    with talking(*[answer(b"", status)] * 2, tries=2) as (client, heard), pytest.raises(ServiceError) as caught:
        get(client)
    assert (caught.value.status, len(heard.requests)) == (status, tries)


@pytest.mark.parametrize("told", [refusal("ThrottlingException"), CLOSED])
def test_pauses_are_a_part_of_a_time_that_doubles_up_to_twenty_seconds(
    still: clock.SteppingClock, monkeypatch: pytest.MonkeyPatch, told: bytes
) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.5)
    with talking(*[told] * 8, tries=8) as (client, _), pytest.raises(Failure):
        get(client)
    assert (still.now_us() - NOW_US) / 1_000_000 == 0.5 + 1 + 2 + 4 + 8 + 16 + 20


@pytest.mark.parametrize("told", [answer(ITEM), gzipped(ITEM), chunked(ITEM), answer(ITEM, keep=False)])
def test_every_form_of_an_answer_is_read(told: bytes) -> None:
    with talking(told, told) as (client, heard):
        assert [get(client), get(client)] == [ITEM, ITEM]
        assert heard.connections == (2 if b"close" in told else 1)
        assert len(kept_by(client)) == (0 if b"close" in told else 1)


def test_an_answer_without_a_body_says_nothing() -> None:
    with talking(answer(b"")) as (client, _):
        assert get(client) == {}


@pytest.mark.parametrize("told", [answer([]), answer(b"<html>")])
def test_what_is_no_object_is_no_answer(told: bytes) -> None:
    with talking(told) as (client, _), pytest.raises(NotReached):
        get(client)


def test_a_request_names_its_host_and_wants_its_answer_as_it_is() -> None:
    with talking(answer(ITEM)) as (client, heard):
        get(client)
        [(line, headers, _)] = heard.requests
        assert line == "POST / HTTP/1.1"
        assert client.service.place.url == f"http://{headers['host']}"
        assert headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("service", ["sqs", "dynamodb"])
def test_what_was_packed_on_its_way_is_unpacked(service: str) -> None:
    with misbehaving([gzipped({"Messages": []})]) as (url, _):
        client = lean(Place(service, url, "eu-west-1", lambda: KEYS), Limits(5, 5, 1))
        assert client._ask("ReceiveMessage", {}) == {"Messages": []}  # type: ignore[attr-defined]
        client.close()


@pytest.mark.parametrize("lost", [CLOSED, b"HTTP/1.1 200 Told\r\nContent-Length: 500\r\n\r\n{..."])
def test_a_kept_connection_that_the_server_has_closed_costs_no_try(still: clock.SteppingClock, lost: bytes) -> None:
    with talking(answer(ITEM), lost, answer(ITEM)) as (client, heard):
        assert [get(client), get(client)] == [ITEM, ITEM]
        assert still.now_us() == NOW_US
        assert heard.connections == 2


def test_a_kept_connection_that_takes_no_more_costs_no_try(still: clock.SteppingClock) -> None:
    with talking(answer(ITEM), answer(ITEM)) as (client, heard):
        get(client)
        kept_by(client)[0].sock.shutdown(socket.SHUT_WR)
        assert get(client) == ITEM
        assert (still.now_us(), heard.connections) == (NOW_US, 2)


def test_a_kept_connection_on_which_nothing_is_said_costs_a_try(still: clock.SteppingClock) -> None:
    """The request may have been heard: what was heard is not asked again at once."""
    with talking(answer(ITEM), b"HTTP/1.1 200 Told\r\n", answer(ITEM), read_s=0.05) as (client, _):
        assert [get(client), get(client)] == [ITEM, ITEM]
        assert still.now_us() > NOW_US


def kept_by(client: Any) -> list[HTTPConnection]:
    return [connection for idle in client.service.exchange.__self__._idle.values() for connection in idle]


def test_a_fork_shares_no_connection_and_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with talking(*[answer(ITEM)] * 3) as (client, heard):
        get(client)
        [parents] = kept_by(client)
        monkeypatch.setattr(client.service.exchange.__self__, "_process", 0)
        with closing(parents):
            assert [get(client), get(client)] == [ITEM, ITEM]
        assert heard.connections == 2


def test_a_service_is_waited_for_and_then_listened_to_for_as_long_as_was_said() -> None:
    with talking(answer(ITEM), read_s=7) as (client, _):
        get(client)
        [kept] = kept_by(client)
        assert (kept.timeout, kept.sock.gettimeout()) == (5, 7)


def test_of_the_connections_that_are_kept_the_last_one_used_is_used_again() -> None:
    connections, first, last = Connections(connect_s=1, read_s=1), HTTPConnection("host"), HTTPConnection("host")
    for each in (first, last):
        connections._put_away(each, "host", is_whole=True)
    assert connections._kept("host") is last


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


def test_bytes_are_sent_as_base64_whatever_holds_them() -> None:
    with talking(answer({})) as (client, heard):
        client.put_item(TableName="t", Item={"a": {"B": bytearray(b"\x00\x01")}})
        assert b'"AAE="' in heard.requests[0][2]


def test_a_refusal_is_an_answer() -> None:
    said = {"__type": "x#ConditionalCheckFailedException", "Message": "false", "Item": {"a": {"B": "AAE="}}}
    with talking(answer(said, 400)) as (client, heard), pytest.raises(ServiceError) as caught:
        client.put_item(TableName="t", Item={"a": {"B": b"\x00\x01"}})
    assert caught.value.code == "ConditionalCheckFailedException"
    assert caught.value.response["Item"] == {"a": {"B": "AAE="}}
    assert heard.requests[0][2] == b'{"TableName": "t", "Item": {"a": {"B": "AAE="}}}'


@pytest.mark.parametrize(
    ("code", "hours"),
    [
        ("InvalidSignatureException", 1),
        ("RequestExpired", 1),
        ("RequestTimeTooSkewed", -1),
        ("SignatureDoesNotMatch", 1),
    ],
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


def in_hours(hours: float) -> str:
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


@pytest.mark.parametrize("minutes", [0, 3, -3])
def test_a_signature_that_is_refused_at_about_the_right_time_is_not_sent_again(minutes: int) -> None:
    told = refusal("InvalidSignatureException", Date=in_hours(minutes / 60))
    with talking(told) as (client, heard), pytest.raises(ServiceError):
        get(client)
    assert len(heard.requests) == 1


def test_a_signature_that_is_refused_by_the_clock_that_was_put_right_is_not_sent_again() -> None:
    late = refusal("RequestExpired", Date=in_hours(1))
    with talking(late, answer(ITEM), late) as (client, heard):
        get(client)
        with pytest.raises(ServiceError):
            get(client)
        assert len(heard.requests) == 3


@pytest.mark.parametrize(
    "code", ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"]
)
def test_keys_that_have_expired_are_read_again(code: str) -> None:
    fresh = StaticKeys("AKIDFRESH", "secret")
    with talking(refusal(code), answer(ITEM), keys=(KEYS, fresh)) as (client, heard):
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
