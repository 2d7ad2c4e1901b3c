"""The door that callers come through: API Gateway's signatures, routes and events, before the real functions."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import events
from events.deployed import app

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HOST = "a1b2c3d4e5.execute-api.localhost"


class Gateway:
    """What API Gateway does: routes by path, checks the signature, makes an event, and sends what the function said."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self._one_at_a_time = Lock()

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        self.requests.append((method, target))
        if not is_signed(method, target, headers, body):
            return {"statusCode": 403, "headers": {}, "body": '{"message":"Forbidden"}'}
        event = events.get(target, headers=headers)
        if body:
            event = events.post(target, raw=body, headers=headers, method=method)
        with self._one_at_a_time:  # as each instance of a function is asked
            answer: dict[str, Any] = app(events.function_of(event)).handler(event, events.Context())
        return answer


def is_signed(method: str, target: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether the signature is the one that the key's owner would make for just this request."""
    given = headers.get("authorization", "")
    named = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = AWSRequest(method, f"http://{headers['host']}{target}", data=body)
    for name in named:
        request.headers[name] = headers[name]
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(Credentials(KEY, SECRET), "execute-api", "us-east-1")
    expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return given.endswith(f"Signature={expected}")


@contextmanager
def serving(gateway: Gateway) -> Iterator[str]:
    """The address of the gateway, in the form that a local stack has."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            answer = gateway.answer(self.command, self.path, headers, body)
            content = base64.b64decode(answer["body"]) if answer.get("isBase64Encoded") else answer["body"].encode()
            self.send_response(answer["statusCode"])
            for name, value in {**answer["headers"], "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
