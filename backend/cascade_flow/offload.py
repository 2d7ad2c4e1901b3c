"""Large payloads in S3: packed texts under the hash of their content. Encryption and expiry are the bucket's own.

A text that is put again renews its object's age, so that the bucket's lifecycle never takes what a younger run needs.
Objects are gzip files and say so: whoever was given an object's address reads JSON there, with any client of HTTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)

from cascade_flow import clock
from cascade_flow.errors import BackendUnavailableError, CascadeFlowError, ConfigurationError, PayloadLostError

FOLDER = "payloads/"
ADDRESS_S = 900
"""How long an object's address can be used; less where the credentials that signed it end earlier."""
_READS = 4
_FIRST_PAUSE_US = 50_000
_MAY_LIST = "s3:ListBucket"
_UNUSABLE = frozenset({"NoSuchBucket", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_BROKEN = (IncompleteReadError, HTTPClientError, FlexibleChecksumError)
"""What a body raises that breaks while it is read: the SDK sends a request again, but not what an answer lacks."""
_T = TypeVar("_T")


class Bucket:
    """One bucket, by name.

    Every failure says which object and why: PayloadLostError where it was deleted, ConfigurationError where the bucket
    can't be used, BackendUnavailableError where another try may help.
    """

    def __init__(self, name: str, *, client: Any = None) -> None:
        self.name = name
        self.client = client or boto3.client("s3", config=_config())

    def put(self, packed: bytes) -> str:
        """Store a gzip file; answers the object's key, the same for the same bytes."""
        key = f"{FOLDER}{hashlib.sha256(packed).hexdigest()}"
        put = partial(self.client.put_object, ContentType="application/json", ContentEncoding="gzip")
        self._asked("s3:PutObject", key, lambda: put(Bucket=self.name, Key=key, Body=packed))
        return key

    def get(self, key: str) -> bytes:
        """The bytes of an object; a body that breaks while it is read is asked for again."""
        for attempt in range(_READS - 1):
            try:
                return self._read(key)
            except _BROKEN:
                clock.pause_us(_FIRST_PAUSE_US * 2**attempt)
        return self._asked("s3:GetObject", key, lambda: self._read(key))

    def address(self, key: str) -> str:
        """Where anybody may read an object for a while, with the rights of whoever asks for the address here."""
        place = {"Bucket": self.name, "Key": key}

        def signed() -> str:
            return str(self.client.generate_presigned_url("get_object", Params=place, ExpiresIn=ADDRESS_S))

        return self._asked("s3:GetObject", key, signed)

    def renew(self, key: str) -> None:
        """Let an object's age begin anew, for another run that names it."""
        self.put(self.get(key))

    def _read(self, key: str) -> bytes:
        answer = self._asked("s3:GetObject", key, lambda: self.client.get_object(Bucket=self.name, Key=key))
        return bytes(answer["Body"].read())

    def _asked(self, right: str, key: str, ask: Callable[[], _T]) -> _T:
        """What S3 answers to who needs this right."""
        try:
            return ask()
        except (BotoCoreError, ClientError) as error:
            done = "stored in" if right == "s3:PutObject" else "read from"
            told = f"payload {key} can't be {done} bucket {self.name}: {error}"
            raise _translate(error, told, right) from error


def _config() -> Config:
    """Signatures of Version 4, and the region's own host, also in addresses: those of a bucket in its first hours are
    redirected to it from everywhere else, where the signature is not theirs any more.
    """
    retries: Any = {"mode": "standard", "max_attempts": 5}
    place: Any = {"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
    return Config(connect_timeout=3, read_timeout=30, retries=retries, signature_version="s3v4", s3=place)


def _translate(error: BotoCoreError | ClientError, told: str, right: str) -> CascadeFlowError:
    """To who may not list a bucket S3 says of a missing object that access is denied, for want of that right."""
    told_by_s3 = error.response["Error"] if isinstance(error, ClientError) else {}
    code, message = told_by_s3.get("Code", ""), told_by_s3.get("Message", "")
    denied = code == "AccessDenied"
    if code == "NoSuchKey" or (denied and right == "s3:GetObject" and _MAY_LIST in message):
        return PayloadLostError(f"{told}; the bucket's lifecycle may have deleted it: run it anew")
    if denied:
        return ConfigurationError(f"{told}: grant the role or the profile {_rights(right)}")
    if code in _UNUSABLE or isinstance(error, NoCredentialsError | PartialCredentialsError):
        return ConfigurationError(f"{told}: check the bucket's name, and what the role or the profile may do")
    return BackendUnavailableError(told)


def _rights(right: str) -> str:
    """What may be missing: S3 does not always say."""
    if right == "s3:PutObject":
        return f"{right} on the folder {FOLDER}"
    return f"{right} on the folder {FOLDER}, and {_MAY_LIST} with that prefix: without it, a lost object is denied too"
