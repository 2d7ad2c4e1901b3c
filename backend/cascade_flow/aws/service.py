"""One service at one place: a request is signed, sent, and sent again as long as that may help.

The SDK's standard: what was throttled, what the service failed at, what was not heard or not heard whole. All that the
engine sends may arrive twice. A clock or keys that were wrong are put right once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from gzip import decompress
from urllib.parse import urlsplit
from zlib import crc32

from cascade_flow import clock
from cascade_flow.aws.connections import Answered, Asked, Exchange
from cascade_flow.aws.failures import NotReached, ServiceError
from cascade_flow.records import dataclass, replace
from cascade_flow.signing import Keys, presigned, signed

Refusal = Callable[[Answered, str], ServiceError]
"""Reads what a service refuses, and why; it is told the operation."""

_BUSY = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_FAILED = frozenset({500, 502, 503, 504})
_LATE = frozenset({"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch"})
_OLD = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"})
_TOLERATED_US = 240_000_000
_LONGEST_PAUSE_S = 20.0


@dataclass(frozen=True)
class Place:
    """Where a service is, and who asks: `keys` is called for each request, since keys grow old.

    Where the address is not AWS's own (`is_named`), it is taken as it is.
    """

    name: str
    url: str
    region: str
    keys: Callable[[], Keys]

    @property
    def is_named(self) -> bool:
        return f".{self.region}.amazonaws.com" not in self.url


class Service:
    """Sends requests to a place, `tries` times at most."""

    def __init__(self, place: Place, exchange: Exchange, refusal: Refusal, *, tries: int) -> None:
        self.place = place
        self.exchange = exchange
        self._refusal = refusal
        self._tries = tries
        self._ahead_us = 0

    def send(self, asked: Asked, operation: str) -> Answered:
        """What the service answers. Raises Failure."""
        for attempt in range(self._tries - 1):
            try:
                return self._with_right_clock_and_keys(asked, operation)
            except NotReached:
                pass
            except ServiceError as error:
                if not _may_help(error):
                    raise
            clock.pause_us(round(1_000_000 * min(_LONGEST_PAUSE_S, random.random() * 2**attempt)))
        return self._with_right_clock_and_keys(asked, operation)

    def presigned(self, url: str, *, expires_s: int) -> str:
        """An address, with the rights of whoever asks here. Raises NoCredentials."""
        place = self.place
        return presigned(url, keys=place.keys(), region=place.region, expires_s=expires_s, ahead_us=self._ahead_us)

    def _with_right_clock_and_keys(self, asked: Asked, operation: str) -> Answered:
        keys = self.place.keys()
        try:
            return self._once(asked, operation, keys)
        except ServiceError as error:
            if not (self._has_set_clock(error) or (error.code in _OLD and self.place.keys() != keys)):
                raise
        return self._once(asked, operation, self.place.keys())

    def _once(self, asked: Asked, operation: str, keys: Keys) -> Answered:
        headers = {"host": urlsplit(asked.url).netloc, **asked.headers}
        place = self.place
        signature = signed(
            asked.method,
            asked.url,
            headers,
            asked.body,
            keys=keys,
            region=place.region,
            service=place.name,
            ahead_us=self._ahead_us,
        )
        answer = _whole(self.exchange(replace(asked, headers={**headers, **signature})), unpack=place.name != "s3")
        if answer.status >= 300:
            raise self._refusal(answer, operation)
        return answer

    def _has_set_clock(self, error: ServiceError) -> bool:
        """Whether a signature was refused since our clock is wrong; from now on AWS's counts."""
        told = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if error.code not in _LATE or not told:
            return False
        ahead_us = round(parsedate_to_datetime(told).timestamp() * 1_000_000) - clock.now_us()
        was_wrong = abs(ahead_us - self._ahead_us) > _TOLERATED_US
        self._ahead_us = ahead_us if was_wrong else self._ahead_us
        return was_wrong


def refused(answer: Answered, operation: str, code: str, message: str, said: Mapping[str, object]) -> ServiceError:
    """A refusal, in the form that boto3 gives it."""
    metadata = {"HTTPStatusCode": answer.status, "HTTPHeaders": dict(answer.headers)}
    response = {**said, "Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
    return ServiceError(response, operation)


def _may_help(error: ServiceError) -> bool:
    return error.code in _BUSY or error.status in _FAILED


def _whole(answer: Answered, *, unpack: bool) -> Answered:
    """An answer as it was meant: checked against its own sum, unpacked where packing is the way's and not the object's.

    Raises NotReached.
    """
    told = answer.headers.get("x-amz-crc32")
    if told is not None and int(told) != crc32(answer.body):
        raise NotReached("the answer is damaged: its CRC32 is another one")
    if not unpack or answer.headers.get("content-encoding") != "gzip":
        return answer
    try:
        return replace(answer, body=decompress(answer.body))
    except (OSError, EOFError) as error:
        raise NotReached(f"the answer is damaged: {error}") from error
