"""Transports that answer without a socket: MiniStack's and moto's own handlers, called in this process.

Each holds one lock around a request, so requests are atomic and any number of threads may send. State lives as long as
the process; tests are kept apart by the names of their tables and queues. Nothing about real processes may enter here.
"""

import asyncio
import atexit
import json
import threading
from base64 import b64encode
from collections.abc import Coroutine
from datetime import datetime
from importlib import import_module
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from testbed.wire import answer, text_of

Reply = tuple[int, dict[str, str], bytes | str]
Work = Coroutine[Any, Any, Reply]


class MiniStackTransport:
    """MiniStack's DynamoDB and SQS handlers as a function from request to answer."""

    def __init__(self) -> None:
        self._dynamodb = _without_threads("ministack.services.dynamodb")
        self._sqs = _without_threads("ministack.services.sqs")
        self._lock = self._dynamodb._lock
        self._loop = _Loop()

    def __call__(self, request: AWSPreparedRequest) -> AWSResponse:
        if "sqs" in text_of(request.headers["X-Amz-Target"]).lower():
            status, headers, body = self._loop.run(self._handle(self._sqs, request))
        else:
            with self._lock:
                status, headers, body = _run_at_once(self._handle(self._dynamodb, request))
        return answer(request, status, headers, body)

    @staticmethod
    def _handle(service: Any, request: AWSPreparedRequest) -> Work:
        headers = {name.lower(): text_of(value) for name, value in request.headers.items()}
        body = request.body or b""
        url = urlsplit(request.url)
        raw = body.encode() if isinstance(body, str) else body
        work: Work = service.handle_request(request.method, url.path, headers, raw, parse_qs(url.query))
        return work


class MotoTransport:
    """moto's handlers, without switching its patches of boto3 on."""

    def __init__(self) -> None:
        import_module("moto.dynamodb.responses").DynamoResult.execute_result = _plainly
        self._stubber: Any = import_module("moto.core.models").botocore_stubber
        self._lock = threading.Lock()

    def __call__(self, request: AWSPreparedRequest) -> AWSResponse:
        with self._lock:
            reply = self._stubber.process_request(request)
        if reply is None:
            raise LookupError(f"moto does not know {request.url}: make the client with Server.client().")
        return answer(request, *reply)


def _plainly(result: Any, context: object) -> Reply:
    """Items are JSON already: moto's own way looks for each attribute under ten names, a third of all its time."""
    body = json.dumps(result.result, default=_spelled)
    return 200, {"Content-Type": "application/x-amz-json-1.0"}, body


def _spelled(value: bytes | datetime) -> str | float:
    return value.timestamp() if isinstance(value, datetime) else b64encode(value).decode()


def preload() -> None:
    """Import the handlers, for who forks a process for each of many tests."""
    MiniStackTransport()


def _without_threads(module: str) -> Any:
    """Import a module without what it starts: MiniStack's expiry goes by the machine's clock, not the test's."""
    with patch.object(threading.Thread, "start"):
        return import_module(module)


class _Loop:
    """An event loop in a thread of its own: SQS long polls wait there without blocking other requests."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def run(self, work: Work) -> Reply:
        return asyncio.run_coroutine_threadsafe(work, self._started()).result()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                thread = threading.Thread(target=self._loop.run_forever, name="testbed-sqs", daemon=True)
                thread.start()
                atexit.register(_end, self._loop, thread)
            return self._loop


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def _run_at_once(work: Work) -> Reply:
    """MiniStack's DynamoDB handlers await nothing, so one step ends them."""
    try:
        work.send(None)
    except StopIteration as end:
        reply: Reply = end.value
        return reply
    raise RuntimeError("MiniStack's DynamoDB handler waited for something: run it on a loop, like SQS.")
