"""Large payloads in S3: packed texts under the hash of their content. Encryption and expiry are the bucket's own.

A text that is put again renews its object's age, so that the bucket's lifecycle never takes what a younger run needs.
Objects are gzip files and say so: whoever was given an object's address reads JSON there, with any client of HTTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from cascade_flow import clock
from cascade_flow.aws.failures import Failure, NoCredentials, NotReached, ServiceError, asked
from cascade_flow.aws.opening import open_client
from cascade_flow.errors import BackendUnavailableError, CascadeFlowError, ConfigurationError, PayloadLostError

FOLDER = "payloads/"
ADDRESS_S = 900
"""How long an object's address can be used; less where the credentials that signed it end earlier."""
_READS = 4
_FIRST_PAUSE_US = 50_000
_MAY_LIST = "s3:ListBucket"
_UNUSABLE = frozenset({"NoSuchBucket", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_T = TypeVar("_T")


class Bucket:
    """One bucket, by name.

    Every failure says which object and why: PayloadLostError where it was deleted, ConfigurationError where the bucket
    can't be used, BackendUnavailableError where another try may help.
    """

    def __init__(self, name: str, *, client: Any = None) -> None:
        self.name = name
        self.client = client or open_client("s3")

    def put(self, packed: bytes) -> str:
        """Store a gzip file; answers the object's key, the same for the same bytes."""
        key = f"{FOLDER}{hashlib.sha256(packed).hexdigest()}"
        put = partial(self.client.put_object, ContentType="application/json", ContentEncoding="gzip")
        self._asked("s3:PutObject", key, lambda: put(Bucket=self.name, Key=key, Body=packed))
        return key

    def get(self, key: str) -> bytes:
        """The bytes of an object; a body that breaks while it is read is asked for again, which boto3 leaves to us."""
        for attempt in range(_READS - 1):
            try:
                return self._read(key)
            except NotReached:
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
        return bytes(asked(answer["Body"].read))

    def _asked(self, right: str, key: str, ask: Callable[[], _T]) -> _T:
        """What S3 answers to who needs this right."""
        try:
            return asked(ask)
        except Failure as error:
            done = "stored in" if right == "s3:PutObject" else "read from"
            told = f"payload {key} can't be {done} bucket {self.name}: {error}"
            raise _translate(error, told, right) from error


def _translate(error: Failure, told: str, right: str) -> CascadeFlowError:
    """To who may not list a bucket S3 says of a missing object that access is denied, for want of that right."""
    told_by_s3 = error.response["Error"] if isinstance(error, ServiceError) else {}
    code, message = told_by_s3.get("Code", ""), told_by_s3.get("Message", "")
    denied = code == "AccessDenied"
    if code == "NoSuchKey" or (denied and right == "s3:GetObject" and _MAY_LIST in message):
        return PayloadLostError(f"{told}; the bucket's lifecycle may have deleted it: run it anew")
    if denied:
        return ConfigurationError(f"{told}: grant the role or the profile {_rights(right)}")
    if code in _UNUSABLE or isinstance(error, NoCredentials):
        return ConfigurationError(f"{told}: check the bucket's name, and what the role or the profile may do")
    return BackendUnavailableError(told)


def _rights(right: str) -> str:
    """What may be missing: S3 does not always say."""
    if right == "s3:PutObject":
        return f"{right} on the folder {FOLDER}"
    return f"{right} on the folder {FOLDER}, and {_MAY_LIST} with that prefix: without it, a lost object is denied too"
