"""A slot as its worker holds it: a process in a session of its own, what goes to it, and what is left at its end."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest

from cascade_flow.client.workers import Attempt
from cascade_flow.remote import place
from cascade_flow.remote.place import SlotProcess
from cascade_flow.remote.poller import Seat
from unit.remote.conftest import claim_of


class Process:
    """What `subprocess.Popen` would have started."""

    pid = 4_321

    def __init__(self, command: list[str], **how: Any) -> None:
        self.command, self.how = command, how
        self.stdin = io.StringIO()
        self.returncode: int | None = None
        self.outbox = os.dup(how["pass_fds"][0])
        self._ended = Event()

    def wait(self) -> int:
        assert self._ended.wait(30)
        assert self.returncode is not None
        return self.returncode

    def end(self, status: int) -> None:
        os.close(self.outbox)
        self.returncode = status
        self._ended.set()

    @property
    def heard(self) -> list[Any]:
        return [json.loads(line) for line in self.stdin.getvalue().splitlines()]


class Scene:
    def __init__(self, slot: SlotProcess, process: Process, said: SimpleQueue[Any], killed: list[Any]) -> None:
        self.slot, self.process, self.killed = slot, process, killed
        self._said = said

    def said(self) -> Any:
        return self._said.get(timeout=30)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    said: SimpleQueue[Any] = SimpleQueue()
    killed: list[Any] = []
    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.setattr(place.os, "killpg", lambda *what: killed.append(what))
    slot = SlotProcess(Seat(2, "box-2"), {"workflows": "flows"}, lambda _, words: said.put(words))
    process: Any = slot._process
    yield Scene(slot, process, said, killed)
    if process.returncode is None:
        process.end(0)
        list(iter(lambda: said.get(timeout=30), None))  # its threads use what the next test replaces


def test_it_is_a_process_in_a_session_of_its_own_that_prints_where_the_worker_does_not_speak(scene: Scene) -> None:
    how = scene.process.how
    assert scene.process.command == [sys.executable, "-m", "cascade_flow.remote"]
    assert (how["start_new_session"], how["stdout"]) == (True, sys.stderr.fileno())
    [outbox] = how["pass_fds"]
    assert scene.process.heard == [{"workflows": "flows", "workerId": "box-2", "outbox": outbox}]
    assert scene.slot.pid == Process.pid


def test_what_it_says_is_heard_and_then_its_end(scene: Scene) -> None:
    os.write(scene.process.outbox, '{"event": "ready", "ä": 1}\n'.encode())
    assert scene.said() == {"event": "ready", "ä": 1}
    scene.process.end(3)
    assert scene.said() is None
    assert scene.killed == [(Process.pid, signal.SIGKILL)], "what its step has left is ended"
    assert scene.slot.end() == "has ended with status 3"


def test_its_last_words_are_heard_before_its_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    heard, ended = list[Any](), Event()

    def hear(_: SlotProcess, words: Any) -> None:
        assert words is None or not ended.wait(0.05)
        heard.append(words)
        if words is None:
            ended.set()

    monkeypatch.setattr(scene.slot, "_hear", hear)
    os.write(scene.process.outbox, b'{"event": "ended"}\n')
    scene.process.end(0)
    assert ended.wait(30)
    assert heard == [{"event": "ended"}, None]


def test_the_pipe_is_its_own_and_ends_with_it(scene: Scene) -> None:
    scene.process.end(0)
    scene.slot._listener.join(3)
    assert not scene.slot._listener.is_alive()
    assert scene.said() is None


def test_whoever_else_holds_the_pipe_is_not_waited_for_long(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_LAST_WORDS_S", 0.01)
    held = os.dup(scene.process.outbox)
    scene.process.end(0)
    assert scene.said() is None
    os.close(held)


@pytest.mark.parametrize("error", [ProcessLookupError, PermissionError])
def test_who_is_gone_cannot_be_killed(scene: Scene, monkeypatch: pytest.MonkeyPatch, error: type[OSError]) -> None:
    def killpg(*_: int) -> None:
        raise error

    monkeypatch.setattr(place.os, "killpg", killpg)
    scene.slot.kill()


def test_what_is_said_goes_at_once(scene: Scene) -> None:
    sent = io.BytesIO()
    scene.process.stdin = io.TextIOWrapper(sent, "utf-8")  # type: ignore[assignment]
    scene.slot.drain()
    assert json.loads(sent.getvalue()) == {"do": "drain"}


def test_a_claim_is_held_and_told(scene: Scene) -> None:
    scene.slot.is_free = True
    assert scene.slot.attempt is None
    scene.slot.begin(claim_of())
    assert (scene.slot.is_free, scene.slot.attempt) == (False, Attempt("r", "train", "box-2", 1))
    scene.slot.drain()
    scene.slot.give_back()
    assert scene.process.heard[1:] == [{"claim": claim_of()}, {"do": "drain"}, {"do": "give back"}]


def test_who_is_killed_is_killed_with_all_that_its_step_has_started_and_once_only(scene: Scene) -> None:
    scene.slot.kill()
    assert scene.killed == [(Process.pid, signal.SIGKILL)]
    scene.process.end(-9)
    assert scene.said() is None
    assert scene.slot.end() == "was killed by signal 9"
    scene.slot.kill()
    assert len(scene.killed) == 2, "its number may be another's by now"


def test_to_the_dead_nothing_is_said(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: str) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(scene.process.stdin, "write", gone)
    scene.slot.drain()
    assert len(scene.process.heard) == 1
