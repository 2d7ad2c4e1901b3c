"""The REST API from Python: one synchronous class, requests signed (SigV4), problems raised as the errors they were.

    client = Client("https://abc123.execute-api.eu-central-1.amazonaws.com")
    run_id = client.submit("orders", input={"day": "2026-11-22"})["runId"]

Answers are the API's own JSON objects, in the words of `api.names`; times are microseconds. Nothing is decided here.
What lies in S3 is fetched from the address that the API gives for it, and stands in its place. A request that was
refused for a while is sent again for some seconds, where sending it twice does no harm.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import SplitResult, quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import botocore
import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError

from cascade_flow import clock
from cascade_flow.client.answers import refused_by_s3, value_of
from cascade_flow.client.asking import AGAIN_US, FIRST_PAUSE_US, Json, part as _part
from cascade_flow.client.diagnosis import DiagnosisMethods
from cascade_flow.client.reports import ReportMethods
from cascade_flow.client.runs import RunMethods
from cascade_flow.client.schedules import ScheduleMethods
from cascade_flow.client.service import ServiceMethods
from cascade_flow.client.submissions import SubmissionMethods
from cascade_flow.client.workers import WorkerMethods
from cascade_flow.client.workflows import WorkflowMethods
from cascade_flow.errors import (
    BackendUnavailableError,
    ConfigurationError,
)
from cascade_flow.signing import Keys, StaticKeys, signed

__all__ = ["Client", "Json", "Session"]

_REGION_IN_HOST = re.compile(r"\.execute-api\.([a-z0-9-]+)\.")
_PATIENCE_MS = 30_000
_THIS_MACHINE = ("localhost", "127.0.0.1")
_LOG_IN = "log in to AWS (aws configure, aws sso login), or set AWS_PROFILE"
_LOG_IN_HERE = 'the stack on this machine tells its own in its project\'s folder: eval "$(cascade env)"'
_TOO_MANY = 429
_CONNECTIONS = 8
"""Kept open to one host, for whoever asks from several threads."""
_PASSING = frozenset({502, 503, 504})
_CERTIFICATES = Path(botocore.__file__).parent / "cacert.pem"


class Session(Protocol):
    """What knows the caller's credentials: a session of boto3 or of botocore, or `signing.StaticKeys`."""

    def get_credentials(self) -> Any: ...


class Client(
    SubmissionMethods,
    RunMethods,
    WorkflowMethods,
    ScheduleMethods,
    ReportMethods,
    ServiceMethods,
    WorkerMethods,
    DiagnosisMethods,
):
    """A cascade-flow API. Every method raises CascadeFlowErrors only.

    `url` is the stack's output ApiUrl. `region` is the address's unless given; `session` is the environment's unless
    given. Raises ConfigurationError where one of them can't be found.
    """

    def __init__(
        self, url: str, *, region: str | None = None, session: Session | None = None, timeout_ms: int = _PATIENCE_MS
    ) -> None:
        self.url = url.rstrip("/")
        address = _address(self.url)
        self._host = address.netloc
        is_local = _is_local(address)
        self.region = region or _region(_host(address), is_local)
        self._session = session
        self._http = _pool(address, is_local, timeout_ms / 1_000)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections."""
        self._http.clear()

    def run(self, run_id: str, *, payloads: bool = True) -> Json:
        """A run with its steps, output and error; quicker without its input and output. Raises RunNotFoundError,
        PayloadLostError.
        """
        found = self._get(f"/runs/{_part(run_id)}", None if payloads else {"payloads": "false"})
        whole = {**found, "run": self._filled(found["run"], ("input",), json.loads)}
        return self._filled(whole, ("output",), json.loads)

    def runs(
        self,
        *,
        workflow_slug: str | None = None,
        status: Sequence[str] = (),
        tags: Sequence[str] = (),
        created_after_us: int | None = None,
        created_before_us: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        offset: int | None = None,
        total: bool = False,
    ) -> Json:
        """Runs, newest first: `{runs, nextCursor?}`. Status matches any of those named, tags all of them.

        Where there is a `nextCursor` there may be more: it is the `cursor` of the next request. With `total` the answer
        holds also `{total, totalIsExact}`: nobody counts beyond 10,000.
        """
        wish = {
            "workflow": workflow_slug,
            "status": status,
            "tag": tags,
            "createdAfterUs": created_after_us,
            "createdBeforeUs": created_before_us,
            "limit": limit,
            "cursor": cursor,
            "offset": offset,
            "total": "true" if total else None,
        }
        return self._get("/runs", wish)

    def events(
        self,
        run_id: str,
        *,
        after_us: int = 0,
        types: Sequence[str] = (),
        step_id: str | None = None,
        payloads: bool = True,
        outside: bool = True,
    ) -> list[Json]:
        """A run's events later than `after_us`, in order; quicker without inputs, outputs and checkpoints' data.

        Unless `outside`, of those that lie in S3 the addresses are told.

        Raises RunNotFoundError, StepNotFoundError, PayloadLostError.
        """
        wish = {"afterUs": after_us, "type": types, "step": step_id, "payloads": None if payloads else "false"}
        found = self._all(f"/runs/{_part(run_id)}/events", "events", wish)
        return [self._filled(event, ("input", "output", "data"), str) if outside else event for event in found]

    def logs(
        self, run_id: str, *, step_id: str | None = None, attempt: int | None = None, after_us: int = 0
    ) -> list[Json]:
        """A run's log lines later than `after_us`, in order. Raises RunNotFoundError, StepNotFoundError."""
        wish = {"afterUs": after_us, "step": step_id, "attempt": attempt}
        return list(self._all(f"/runs/{_part(run_id)}/logs", "lines", wish))

    def cancel(self, run_id: str, reason: str | None = None) -> Json:
        """Stop a run; the answer is its state. Raises RunNotFoundError, RunNotCancellableError."""
        state: Json = self._post(f"/runs/{_part(run_id)}/cancel", {"reason": reason})["run"]
        return state

    def _filled(self, document: Json, names: Sequence[str], read: Callable[[str], Any]) -> Json:
        """The document with the texts in S3 that it gives the addresses of."""
        outside = {name: document[f"{name}Url"] for name in names if f"{name}Url" in document}
        if not outside:
            return document
        kept = {name: value for name, value in document.items() if not (name.endswith("Url") and name[:-3] in outside)}
        return {**kept, **{name: read(self._fetched(url)) for name, url in outside.items()}}

    def _fetched(self, url: str) -> str:
        """A text in S3. The address is all the permission that it takes."""
        from cascade_flow.dynamodb.codec import inflate  # noqa: PLC0415  (most answers hold all that they tell)

        answer = self._sent("GET", url, {"host": _address(url).netloc}, decode_content=False)
        if answer.status != 200:
            raise refused_by_s3(answer)
        return inflate(answer.data)

    def _all(self, path: str, name: str, wish: Mapping[str, Any]) -> Iterator[Json]:
        page = self._get(path, wish)
        yield from page[name]
        while "nextUs" in page:
            page = self._get(path, {**wish, "afterUs": page["nextUs"]})
            yield from page[name]

    def _get(self, path: str, wish: Mapping[str, Any] | None = None) -> Json:
        asked = {name: value for name, value in (wish or {}).items() if value not in (None, ())}
        return self._send("GET", f"{path}?{urlencode(asked, doseq=True, quote_via=quote)}".rstrip("?"))

    def _post(self, path: str, wish: Mapping[str, Any], *, again: bool = False) -> Json:
        asked = {name: value for name, value in wish.items() if value is not None}
        return self._send("POST", path, _body(asked), again=again or "idempotencyKey" in asked)

    def _put(self, path: str, document: Mapping[str, Any]) -> Json:
        return self._send("PUT", path, _body(document))

    def _send(self, method: str, path: str, body: bytes = b"", *, again: bool = True) -> Json:
        """What is answered in the end. `again`: a request that may have been done already may be sent again."""
        until_us = clock.now_us() + AGAIN_US
        statuses = {_TOO_MANY, *(_PASSING if again else ())}
        answer, attempt = self.ask(method, path, body), 0
        while answer.status in statuses:
            pause_us = _pause_us(attempt, answer.headers.get("retry-after", ""))
            if clock.now_us() + pause_us > until_us:
                break
            clock.pause_us(pause_us)
            answer, attempt = self.ask(method, path, body), attempt + 1
        return value_of(answer, self.url)

    def ask(self, method: str, path: str, body: bytes = b"", *, is_signed: bool = True) -> urllib3.BaseHTTPResponse:
        """The answer to a request as it comes, whatever its status. Raises BackendUnavailableError."""
        named = {"host": self._host, **({"content-type": "application/json"} if body else {})}
        keys = self._keys() if is_signed else None
        signs = signed(method, self.url + path, named, body, keys=keys, region=self.region) if keys else {}
        headers = {**named, **signs, "accept": "application/json", "accept-encoding": "gzip"}
        return self._sent(method, self.url + path, headers, body)

    def _sent(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", **how: Any
    ) -> urllib3.BaseHTTPResponse:
        reached, place = _reached(url), url.partition("?")[0]
        try:
            return self._http.request(method, reached, body=body or None, headers=headers, redirect=False, **how)
        except ReadTimeoutError as error:
            raise BackendUnavailableError(
                f"{place} did not answer in time; whether the request was done is unknown: send it again"
            ) from error
        except HTTPError as error:
            raise BackendUnavailableError(
                f"nothing answers at {place} ({error.__cause__ or error}): check the address; a local stack is "
                "started with: cascade up"
            ) from error

    def _keys(self) -> Keys:
        if self._session is None:
            self._session = _aws_session()
        return _frozen(self._session, _LOG_IN_HERE if _is_local(_address(self.url)) else _LOG_IN)


def _pool(address: SplitResult, is_local: bool, timeout_s: float) -> urllib3.PoolManager:
    """Connections to the address, through the proxy that this machine's settings name for it."""
    proxy = None if is_local or proxy_bypass(_host(address)) else getproxies().get(address.scheme)
    how: dict[str, Any] = {"timeout": timeout_s, "retries": False, "ca_certs": str(_CERTIFICATES)}
    how["maxsize"] = _CONNECTIONS
    return urllib3.ProxyManager(proxy, **how) if proxy else urllib3.PoolManager(**how)


def _aws_session() -> Any:
    """The environment's own session of botocore, which takes a second to import."""
    from botocore.session import Session  # noqa: PLC0415

    return Session()


def _frozen(session: Session, cure: str) -> Keys:
    if isinstance(session, StaticKeys):
        return session
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  (half a second that known keys don't take)

    try:
        found = session.get_credentials()
        frozen: Keys | None = found and found.get_frozen_credentials()
    except (BotoCoreError, ClientError) as error:
        raise ConfigurationError(f"your AWS credentials can't be used ({error}): {cure}") from error
    if not frozen:
        raise ConfigurationError(f"there are no AWS credentials to sign requests with: {cure}")
    return frozen


def _body(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


def _address(url: str) -> SplitResult:
    try:
        address = urlsplit(url)
        address.port  # noqa: B018  (a port that is none is told when it is read)
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is no address ({error}): name the stack's output ApiUrl") from error
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ConfigurationError(f"{url!r} is no address: name the stack's output ApiUrl, https://...")
    return address


def _is_local(address: SplitResult) -> bool:
    return any(address.hostname == name or _host(address).endswith(f".{name}") for name in _THIS_MACHINE)


def _reached(url: str) -> str:
    """The address at which a host is reached: names of this machine aren't asked for."""
    address = _address(url)
    return url.replace(address.netloc, f"127.0.0.1:{address.port or 80}", 1) if _is_local(address) else url


def _pause_us(attempt: int, retry_after: str) -> int:
    """How long to wait before sending a request again: as long as the answer asks for, or ever longer."""
    least_us = int(retry_after) * 1_000_000 if retry_after.isdecimal() else 0
    return least_us + round(random.uniform(0, FIRST_PAUSE_US * 2**attempt))


def _host(address: SplitResult) -> str:
    return address.hostname or ""


def _region(host: str, is_local: bool) -> str:
    if is_local:
        return "us-east-1"
    found = _REGION_IN_HOST.search(host)
    region = found[1] if found else _aws_session().get_config_variable("region")
    if not region:
        raise ConfigurationError(f"{host} doesn't tell its AWS region: give region=, or set AWS_REGION")
    return str(region)
