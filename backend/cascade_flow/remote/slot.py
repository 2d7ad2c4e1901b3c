"""A place where steps run, one at a time: a process of its own, so that a step may take, print and break what it likes.

It gets claims by its input, and tells what comes of them by another descriptor, both as lines of JSON. Where its input
ends, the worker that it belongs to is dead: then it gives back what it holds, and ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TextIO

from cascade_flow import clock
from cascade_flow.authoring import Workflow, discover
from cascade_flow.client import Client
from cascade_flow.client.asking import Json
from cascade_flow.errors import CascadeFlowError, StaleAttemptError, TransientError
from cascade_flow.local import endpoints
from cascade_flow.remote.attempt import RemoteAttempt
from cascade_flow.remote.lease import RemoteLease

SECONDS_TO_GIVE_BACK = 10.0
"""What a step's code may take to stop, before its process is killed."""


class Slot:
    """Carries out one claim after the other, and those that their branches go on with."""

    def __init__(self, client: Client, workflows: Mapping[str, Workflow], worker_id: str, tell: Channel) -> None:
        self._client = client
        self._workflows = workflows
        self._worker_id = worker_id
        self._tell = tell
        self._claims: SimpleQueue[Json | None] = SimpleQueue()
        self._orphaned = threading.Event()
        self._attempt: RemoteAttempt | None = None
        self._drains = self._gives_back = False

    def listen(self, lines: Iterable[str]) -> None:
        """Take what the worker says, until it says no more."""
        for line in lines:
            said = json.loads(line)
            if "claim" in said:
                self._claims.put(said["claim"])
            else:
                self._drain(gives_back=said["do"] == "give back")
        self._drain(gives_back=True)
        self._orphaned.set()
        self._claims.put(None)
        threading.Timer(SECONDS_TO_GIVE_BACK, os.kill, (os.getpid(), signal.SIGKILL)).start()

    def work(self) -> None:
        """For as long as the worker lives."""
        while not self._orphaned.is_set():
            claim = self._claims.get()
            while claim is not None:
                claim = self._carry_out(claim)
            self._tell.say(event="idle")

    def _drain(self, *, gives_back: bool) -> None:
        self._drains, self._gives_back = True, self._gives_back or gives_back
        if (attempt := self._attempt) is not None:
            attempt.lease.goes_on = False
            if gives_back:
                attempt.give_back()

    def _carry_out(self, claim: Json) -> Json | None:
        """The claim that follows on the same branch, if the worker got it."""
        self._attempt = attempt = RemoteAttempt(RemoteLease(self._client, claim, self._worker_id), self._workflows)
        attempt.lease.goes_on = not self._drains
        if self._gives_back:
            attempt.give_back()
        self._tell.say(event="began", **_named(claim))
        began_us = clock.now_us()
        try:
            answer = attempt.carry_out()
        except (StaleAttemptError, TransientError) as error:
            self._tell.say(event="lost", **_named(claim), reason=str(error))
            return None
        failure = {"error": attempt.failure.to_wire()} if attempt.failure else {}
        ended = {name: answer[name] for name in ("status", "nextRetryAtUs") if name in answer}
        self._tell.say(event="ended", **_named(claim), durationUs=clock.now_us() - began_us, **ended, **failure)
        return answer.get("next")


class Channel:
    """Lines of JSON to the worker that the slot belongs to."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._turn = threading.Lock()

    def say(self, **told: Any) -> None:
        with self._turn, suppress(BrokenPipeError):  # nobody listens any more: the slot is an orphan
            self._stream.write(json.dumps(told, ensure_ascii=False) + "\n")
            self._stream.flush()


def main() -> None:
    """What `python -m cascade_flow.remote` does: its first line says where the API is, and whose steps to run."""
    inbox, spec = _begin()
    tell = Channel(os.fdopen(spec["outbox"], "w", encoding="utf-8"))
    os.set_inheritable(spec["outbox"], False)
    try:
        sys.path[:0] = spec["path"]
        workflows = discover(spec["workflows"])
        slot = Slot(_client(spec), workflows, spec["workerId"], tell)
    except CascadeFlowError as error:
        tell.say(event="unable", code=error.code, reason=str(error))
        return
    tell.say(event="ready", **_declared(workflows))
    threading.Thread(target=slot.listen, args=(inbox,), name="slot-inbox", daemon=True).start()
    slot.work()


def _begin() -> tuple[TextIO, Json]:
    """The worker's words, which no step can read in its place. What ends a worker ends its slots through it."""
    inbox = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: None)
    return inbox, json.loads(inbox.readline())


def _client(spec: Json) -> Client:
    if spec["url"] is None:
        return endpoints.local_client(Path.cwd())
    return endpoints.address_client(spec["url"], region=spec["region"], profile=spec["profile"])


def _declared(workflows: Mapping[str, Workflow]) -> Json:
    steps = [step for workflow in workflows.values() for step in workflow.definition().codes.values()]
    pools = {pool for step in steps if (pool := step.definition.executor)}
    return {"workflows": len(workflows), "pools": sorted(pools)}


def _named(claim: Json) -> Json:
    return {name: claim[name] for name in ("runId", "workflowSlug", "stepId", "attemptNumber")}
