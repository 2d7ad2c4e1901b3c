"""The command `cascade` against an API of fixed answers, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from cascade_flow.cli.app import run
from unit.cli import documents

Answer = tuple[int, Any]
Route = Answer | list[Answer]


@dataclass
class Api:
    """Answers by method and path; of a list, one after the other, the last for ever. Keeps what it was asked."""

    routes: dict[str, Route] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, target: str, body: Any) -> Answer:
        self.asked.append((f"{method} {target}", body))
        route = self.routes.get(f"{method} {target.partition('?')[0]}")
        if isinstance(route, list):
            return route.pop(0) if len(route) > 1 else route[0]
        return route or problem(404, "run-not-found", "there is no run 'x'; it may have been deleted")

    @property
    def last_body(self) -> Any:
        return self.asked[-1][1]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def problem(status: int, code: str, detail: str, **more: Any) -> Answer:
    return status, {"type": f"urn:{code}", "title": code, "status": status, "code": code, "detail": detail, **more}


@pytest.fixture
def api() -> Iterator[Api]:
    """An API that knows the fixed documents."""
    api = Api()
    for found in (documents.DONE, documents.BUSY):
        api.routes[f"GET /runs/{found['run']['runId']}"] = (200, found)
    api.routes["GET /runs"] = (200, {"runs": [documents.DONE["run"], documents.FAILED["run"]]})
    api.routes["POST /workflows/mishaps/runs"] = (201, {"runId": documents.RUN_ID, "isNew": True})
    api.routes["GET /workflows"] = (200, {"workflows": [documents.WORKFLOW]})
    api.routes["GET /workflows/mishaps"] = (200, documents.WORKFLOW)
    api.routes[f"GET /runs/{documents.RUN_ID}/events"] = (200, {"events": documents.EVENTS})
    api.routes[f"GET /runs/{documents.BUSY_ID}/events"] = (200, {"events": documents.EVENTS})
    api.routes[f"GET /runs/{documents.RUN_ID}/logs"] = (200, {"lines": documents.LINES})
    cancelled = {**documents.BUSY["run"], "status": "cancelled"}
    api.routes[f"POST /runs/{documents.BUSY_ID}/cancel"] = (200, {"run": cancelled})
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(api)) as server:
        api.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield api
        server.shutdown()
        thread.join()


@pytest.fixture
def cascade(api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Run a command against the API."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    def command(*arguments: str) -> Done:
        status = run([*arguments, "--url", api.url, "--region", "us-east-1"])
        return Done(status, *capsys.readouterr())

    return command


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply("GET", None)

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["content-length"])).decode()
            self._reply("POST", json.loads(text) if text.startswith(("{", "[")) else text)

        def _reply(self, method: str, body: Any) -> None:
            status, document = api.answer(method, self.path, body)
            is_xml = isinstance(document, str)
            text = document.encode() if is_xml else json.dumps(document).encode()
            kind = "text/xml" if is_xml else "application/json" if status < 400 else "application/problem+json"
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
