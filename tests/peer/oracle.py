"""Asks the published peer, in one long-lived Node process.

Without Node a test that asks is skipped, except in CI (environment variable CI), where it fails. What the answers are
held against is said in `peer.agreement`.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import pytest

HERE = Path(__file__).parent
MEMORY = "/dev/shm"
"""Where files need no disk, on machines that have such a folder: the peer waits for the disk at each event."""

Question = Literal[
    "parse",
    "stepState",
    "stepRecord",
    "runState",
    "logs",
    "attempts",
    "currentAttemptNumber",
    "versionId",
    "fingerprints",
    "calculatePercentiles",
    "computeErrorAnalysis",
    "computeRetryAnalysis",
    "computeSchedulingLatency",
    "computeStepDuration",
    "computeWorkflowDuration",
    "computeWorkerStability",
    "computeThroughput",
    "computeSuccessRate",
    "backend",
]


TimedCall = Sequence[Any]
"""A call of the peer's backend: its moment in microseconds, the method, the arguments."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the peer said to one case: a value, or why it refused."""

    value: Any
    error: str | None

    @property
    def refused(self) -> bool:
        return self.error is not None


class PeerOracle:
    """The peer's process; a context manager."""

    def __enter__(self) -> Self:
        node = _tool("node")
        install_peer()
        self._process = subprocess.Popen(
            [node, str(HERE / "oracle.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, **({"TMPDIR": MEMORY} if Path(MEMORY).is_dir() else {})},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def ask(self, question: Question, cases: Iterable[Sequence[Any]]) -> list[Answer]:
        """The peer's answer to each case, which is the list of the question's arguments."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"ask": question, "cases": [list(case) for case in cases]}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the peer's process ended without an answer to {question!r}"
        return [_answer(each) for each in json.loads(line)]

    def ask_backend(self, calls: Sequence[TimedCall]) -> list[Answer]:
        """What a fresh filesystem backend of the peer answers to these calls, one after the other."""
        [answer] = self.ask("backend", [calls])
        assert not answer.refused, answer.error
        return [_answer(each) for each in answer.value]


@lru_cache(maxsize=1)
def shared_oracle() -> PeerOracle:
    """The one oracle of this test process; it ends with it."""
    oracle = PeerOracle().__enter__()
    atexit.register(oracle.__exit__)
    return oracle


def install_peer() -> None:
    """`npm ci`, once for all test processes and all test runs."""
    with (HERE / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _installed_versions() != _pinned_versions():
            done = subprocess.run([_tool("npm"), "ci"], cwd=HERE, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"npm ci in tests/peer failed: mend that, then run again\n{done.stderr}"


def _answer(told: Mapping[str, Any]) -> Answer:
    return Answer(told.get("value"), told.get("error"))


def _tool(name: str) -> str:
    if path := shutil.which(name):
        return path
    message = f"{name} is not installed, so the published peer can't be asked: install Node 20 or later"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def _installed_versions() -> dict[str, str | None]:
    manifests = {name: HERE / "node_modules" / name / "package.json" for name in _pinned_versions()}
    return {name: json.loads(at.read_text())["version"] if at.exists() else None for name, at in manifests.items()}


def _pinned_versions() -> dict[str, str]:
    pinned: dict[str, str] = json.loads((HERE / "package.json").read_text())["dependencies"]
    return pinned
