"""Large payloads in S3: packed texts under the hash of their content. Encryption and expiry are the bucket's own.

A text that is put again renews its object's age, so that the bucket's lifecycle never takes what a younger run needs.
"""

from __future__ import annotations

import hashlib
from typing import Any

from cascade_flow.aws.failures import Failure, ServiceError, asked
from cascade_flow.aws.opening import open_client
from cascade_flow.errors import BackendUnavailableError, CascadeFlowError, ConfigurationError, PayloadLostError

FOLDER = "payloads/"
_UNUSABLE = frozenset({"NoSuchBucket", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


class Bucket:
    """One bucket, by name.

    Every failure says which object and why: PayloadLostError where it was deleted, ConfigurationError where the bucket
    can't be used, BackendUnavailableError where another try may help.
    """

    def __init__(self, name: str, *, client: Any = None) -> None:
        self.name = name
        self.client = client or open_client("s3")

    def put(self, packed: bytes) -> str:
        """Store bytes; answers the object's key, the same for the same bytes."""
        key = f"{FOLDER}{hashlib.sha256(packed).hexdigest()}"
        self._ask("stored in", key, self.client.put_object, Body=packed, ContentType="application/octet-stream")
        return key

    def get(self, key: str) -> bytes:
        """The bytes of an object."""
        return bytes(self._ask("read from", key, lambda **request: self.client.get_object(**request)["Body"].read()))

    def renew(self, key: str) -> None:
        """Let an object's age begin anew, for another run that names it."""
        self.put(self.get(key))

    def _ask(self, done: str, key: str, call: Any, **request: Any) -> Any:
        try:
            return asked(lambda: call(Bucket=self.name, Key=key, **request))
        except Failure as error:
            raise _translate(error, f"payload {key} can't be {done} bucket {self.name}: {error}") from error


def _translate(error: Failure, told: str) -> CascadeFlowError:
    code = error.code if isinstance(error, ServiceError) else ""
    if code == "NoSuchKey":
        return PayloadLostError(f"{told}; the bucket's lifecycle may have deleted it: run it anew")
    if code in _UNUSABLE:
        return ConfigurationError(f"{told}: check the bucket's name, and what the role or the profile may do")
    return BackendUnavailableError(told)
