"""Large payloads in S3: packed texts under the hash of their content. Encryption and expiry are the bucket's own.

A text that is put again renews its object's age, so that the bucket's lifecycle never takes what a younger run needs.
"""

from __future__ import annotations

import hashlib
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cascade_flow.errors import BackendUnavailableError

FOLDER = "payloads/"


class Bucket:
    """One bucket, by name. Every failure is a BackendUnavailableError that says which object and why."""

    def __init__(self, name: str, *, client: Any = None) -> None:
        self.name = name
        config = Config(connect_timeout=3, read_timeout=30, retries={"mode": "standard", "max_attempts": 5})
        self._client = client or boto3.client("s3", config=config)

    def put(self, packed: bytes) -> str:
        """Store bytes; answers the object's key, the same for the same bytes."""
        key = f"{FOLDER}{hashlib.sha256(packed).hexdigest()}"
        self._ask("stored in", key, self._client.put_object, Body=packed, ContentType="application/octet-stream")
        return key

    def get(self, key: str) -> bytes:
        """The bytes of an object."""
        answer = self._ask("read from", key, self._client.get_object)
        return bytes(answer["Body"].read())

    def renew(self, key: str) -> None:
        """Let an object's age begin anew, for another run that names it."""
        self.put(self.get(key))

    def _ask(self, done: str, key: str, call: Any, **request: Any) -> Any:
        try:
            return call(Bucket=self.name, Key=key, **request)
        except (BotoCoreError, ClientError) as error:
            raise BackendUnavailableError(f"payload {key} can't be {done} bucket {self.name}: {error}") from error
