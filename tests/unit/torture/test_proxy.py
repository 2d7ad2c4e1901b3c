"""The lossy proxy does to a request what it says, and to no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from torture.proxy import Loss, LossyProxy

BODY = b"all of the answer"
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=KEY/20261126/us-east-1/{}/aws4_request, SignedHeaders=host"}


class Behind(BaseHTTPRequestHandler):
    """What the proxy stands before; it remembers what reached it."""

    reached: list[tuple[str, str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.reached.append((self.path, self.headers["Host"], body))
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    Behind.reached = []
    server = HTTPServer(("127.0.0.1", 0), Behind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy() -> Iterator[LossyProxy]:
    with LossyProxy(seed=1) as proxy:
        yield proxy


def ask(proxy: LossyProxy, server: HTTPServer, service: str = "dynamodb") -> tuple[int, bytes]:
    """Ask what is behind the proxy, as a client does that has one."""
    connection = HTTPConnection(proxy.url.removeprefix("http://"), timeout=10)
    address = f"http://127.0.0.1:{server.server_port}/table?a=1"
    headers = {name: value.format(service) for name, value in SIGNED.items()}
    try:
        connection.request("POST", address, b"question", headers)
        answer: HTTPResponse = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_what_passes_arrives_as_it_was(proxy: LossyProxy, server: HTTPServer) -> None:
    assert ask(proxy, server) == (200, BODY)
    assert Behind.reached == [("/table?a=1", f"127.0.0.1:{server.server_port}", b"question")]
    assert proxy.counts == {"requests": 1}


@pytest.mark.parametrize("loss", [Loss.DROP_BEFORE, Loss.DROP_AFTER, Loss.CUT])
def test_an_answer_that_is_lost(proxy: LossyProxy, server: HTTPServer, loss: Loss) -> None:
    with proxy.storm({loss: 1.0}), pytest.raises((HTTPException, ConnectionError)):
        ask(proxy, server)
    assert len(Behind.reached) == (0 if loss is Loss.DROP_BEFORE else 1)
    assert ask(proxy, server) == (200, BODY)


@pytest.mark.parametrize(("loss", "status"), [(Loss.ERROR_500, 500), (Loss.THROTTLE, 400)])
def test_a_request_that_is_refused(proxy: LossyProxy, server: HTTPServer, loss: Loss, status: int) -> None:
    with proxy.storm({loss: 1.0}):
        assert ask(proxy, server)[0] == status
    assert Behind.reached == []


def test_only_dynamodb_throttles(proxy: LossyProxy, server: HTTPServer) -> None:
    with proxy.storm({Loss.THROTTLE: 1.0}):
        assert ask(proxy, server, "sqs")[0] == 500


def test_other_services_are_left_alone(proxy: LossyProxy, server: HTTPServer) -> None:
    with proxy.storm({Loss.DROP_BEFORE: 1.0}):
        assert ask(proxy, server, "execute-api") == (200, BODY)


def test_one_seed_has_one_fate() -> None:
    def fates(seed: int) -> list[Loss | None]:
        with LossyProxy(seed) as proxy, proxy.storm({Loss.DELAY: 0.5}):
            return [proxy.fate(SIGNED["Authorization"].format("s3"))[0] for _ in range(50)]

    assert fates(1) == fates(1) != fates(2)
