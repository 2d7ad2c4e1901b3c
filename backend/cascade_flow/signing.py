"""Signs a request as AWS wants it (SigV4): the one duty of botocore's that a client needs, without a second of imports.

Held against botocore's own signer in `tests/functions/test_client.py` and `tests/unit/aws/test_signing.py`.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Protocol
from urllib.parse import parse_qsl, quote, urlsplit

from cascade_flow import clock
from cascade_flow.records import dataclass

_ALGORITHM = "AWS4-HMAC-SHA256"


class Keys(Protocol):
    """Credentials, as botocore's frozen ones are."""

    @property
    def access_key(self) -> str: ...

    @property
    def secret_key(self) -> str: ...

    @property
    def token(self) -> str | None: ...


@dataclass(frozen=True)
class StaticKeys:
    """Credentials that are simply known: they stand for a session that would look for them, too."""

    access_key: str
    secret_key: str
    token: str | None = None

    def get_credentials(self) -> StaticKeys:
        return self

    def get_frozen_credentials(self) -> StaticKeys:
        return self


def signed(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    keys: Keys,
    region: str,
    service: str = "execute-api",
    ahead_us: int = 0,
) -> dict[str, str]:
    """The headers that sign a request, to an API where nothing else is said; `headers` are those to be signed.

    The host must be among them, and for S3 the digest of the body. `ahead_us`: how far AWS's clock is ahead of ours.
    """
    time = _time(ahead_us)
    token = {"x-amz-security-token": keys.token} if keys.token else {}
    covered = {**headers, "x-amz-date": time, **token}
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    signature = _signature(keys, time, scope, _canonical(method, url, covered, digest(body)))
    names = ";".join(sorted(covered))
    said = f"{_ALGORITHM} Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {"x-amz-date": time, **token, "authorization": said}


def presigned(url: str, *, keys: Keys, region: str, expires_s: int, ahead_us: int = 0) -> str:
    """The address under which anybody may GET an object of S3 for a while; `url` has no query."""
    time = _time(ahead_us)
    scope = f"{time[:8]}/{region}/s3/aws4_request"
    told = {"Algorithm": _ALGORITHM, "Credential": f"{keys.access_key}/{scope}", "Date": time}
    told |= {"Expires": str(expires_s), "SignedHeaders": "host"}
    told |= {"Security-Token": keys.token} if keys.token else {}
    query = "&".join(f"X-Amz-{name}={_quoted(value)}" for name, value in told.items())
    covered = {"host": urlsplit(url).netloc}
    signature = _signature(keys, time, scope, _canonical("GET", f"{url}?{query}", covered, "UNSIGNED-PAYLOAD"))
    return f"{url}?{query}&X-Amz-Signature={signature}"


def _time(ahead_us: int) -> str:
    moment = datetime.fromtimestamp((clock.now_us() + ahead_us) // 1_000_000, UTC)
    return moment.isoformat()[:19].replace("-", "").replace(":", "") + "Z"


def _signature(keys: Keys, time: str, scope: str, canonical: str) -> str:
    text = "\n".join([_ALGORITHM, time, scope, digest(canonical.encode())])
    return _mac(_signing_key(keys.secret_key, scope), text).hex()


def _canonical(method: str, url: str, headers: Mapping[str, str], content: str) -> str:
    """The request in the one form that both sides sign: AWS encodes a path's parts once more."""
    address = urlsplit(url)
    pairs = sorted((_quoted(name), _quoted(value)) for name, value in parse_qsl(address.query, keep_blank_values=True))
    query = "&".join(f"{name}={value}" for name, value in pairs)
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
    path = quote(address.path or "/", safe="/~")
    return "\n".join([method, path, query, lines, ";".join(sorted(headers)), content])


@lru_cache(8)
def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _mac(key, part)
    return key


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def digest(content: bytes) -> str:
    """SHA-256, as a request spells it."""
    return sha256(content).hexdigest()


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), sha256).digest()
