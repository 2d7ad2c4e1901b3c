"""Passes the page's calls on to the API, signed with the user's credentials, and what it answers back.

A stack that is started anew has another address and other keys: after a call that found nobody, or was refused, the
next one looks again where it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import unquote

from cascade_flow.console.answers import Answer, Request, document, problem
from cascade_flow.errors import CascadeFlowError, GoneError, SetupError, TransientError

if TYPE_CHECKING:
    from cascade_flow.client import Client, Json

_PATH = re.compile(r"/[A-Za-z0-9\-._~%!$&'()*+,;=:@/]+")
_KEPT = ("retry-after", "allow")
_FORBIDDEN = 403
_WHOLE = re.compile(r"/runs/(?P<run>[^/]+)(?:/steps/(?P<step>.+))?")


class Engine:
    """The API that is meant. `open_client` finds it; it is asked again when the one that was found is gone."""

    def __init__(self, open_client: Callable[[], Client]) -> None:
        self._open = open_client
        self._client: Client | None = None
        self._lock = Lock()

    @property
    def client(self) -> Client:
        """Raises as `open_client`."""
        with self._lock:
            if self._client is None:
                self._client = self._open()
            return self._client

    def passed_on(self, request: Request, path: str) -> Answer:
        """What the API answers to the request, at `path`."""
        if not _is_clean(path):
            return problem(400, "request-invalid", "No path of the API looks like this.")
        query = f"?{request.query}" if request.query else ""
        return self._told(lambda client: self._asked(client, request, path + query))

    def whole(self, path: str) -> Answer:
        """A run, or a step of one, with what lies in S3 in its place."""
        found = _WHOLE.fullmatch(path) if _is_clean(path) else None
        if found is None:
            return problem(404, "route-not-found", "Runs and their steps are told whole, and nothing else.")
        run, step = unquote(found["run"]), found["step"] and unquote(found["step"])
        return self._told(lambda client: document(_whole(client, run, step)))

    def close(self) -> None:
        self._forget(self._client)

    def _asked(self, client: Client, request: Request, target: str) -> Answer:
        answer = client.ask(request.method, target, request.body)
        if answer.status == _FORBIDDEN:
            self._forget(client)
        kept = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
        kind = answer.headers.get("content-type", "application/json")
        return Answer(answer.status, answer.data, kind, {"cache-control": "no-store", **kept})

    def _told(self, ask: Callable[[Client], Answer]) -> Answer:
        client = None
        try:
            client = self.client
            return ask(client)
        except (TransientError, SetupError) as error:
            self._forget(client)
            return problem(503, error.code, str(error), **{"retry-after": "2"})
        except CascadeFlowError as error:
            return problem(404 if isinstance(error, GoneError) else 400, error.code, str(error))

    def _forget(self, client: Client | None) -> None:
        with self._lock:
            if client is not None and client is self._client:
                self._client = None
                client.close()


def _is_clean(path: str) -> bool:
    """Whether it is a path below the API's own address, as it stands and decoded."""
    parts = unquote(path).split("/")
    return bool(_PATH.fullmatch(path)) and not {".", ".."} & {*parts} and parts[1] != ""


def _whole(client: Client, run: str, step: str | None) -> Json:
    return client.run(run) if step is None else client.step(run, step)
