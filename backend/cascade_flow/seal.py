"""Texts on their way through a queue that only who knows a secret can have written."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable

_MARK_BYTES = 16


class Seal:
    """Seals texts and opens them; the secret is asked for when it is first needed."""

    def __init__(self, secret: Callable[[], bytes]) -> None:
        self._secret = secret

    def sealed(self, text: str) -> str:
        data = text.encode()
        return b64encode(self._mark(data) + data).decode()

    def opened(self, sealed: str) -> str | None:
        """The text; None for what was never sealed with this secret."""
        try:
            whole = b64decode(sealed, validate=True)
        except ValueError:
            return None
        mark, data = whole[:_MARK_BYTES], whole[_MARK_BYTES:]
        return data.decode() if hmac.compare_digest(mark, self._mark(data)) else None

    def _mark(self, data: bytes) -> bytes:
        return hmac.digest(self._secret(), data, "sha256")[:_MARK_BYTES]
