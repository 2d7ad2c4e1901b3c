"""Trials: each mutant in a process of its own, several at once, none for longer than its time.

The processes are forked from one that has imported what all of them need but the product, so that a trial costs little
more than its tests.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from unittest.mock import patch

import pytest

from mutants.mutant import ROOT, TESTS, Mutant
from mutants.planting import plant

_SHARED = ("boto3", "pydantic", "jsonschema_rs")
_PLAINLY = ("-q", "-x", "--no-header", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
"""Nothing that only costs time: a trial tells whether its tests fail, and their own words are enough."""
_RAN = 100
"""What a trial's process adds to pytest's exit code: one that ends otherwise has not come to run its tests."""
KILLED, KILLED_BY_TIME, SURVIVED, BROKEN = "killed", "killed by time", "SURVIVED", "BROKEN"
_OUTCOMES = {_RAN: SURVIVED, _RAN + 1: KILLED}


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant. `told` is what its tests have said."""

    mutant: Mutant
    outcome: str
    seconds: float
    told: str

    @property
    def is_well(self) -> bool:
        return self.outcome in (KILLED, KILLED_BY_TIME)


@dataclass(frozen=True)
class _Trial:
    mutant: Mutant
    process: BaseProcess
    begun: float
    output: Path

    def verdict(self, outcome: str) -> Verdict:
        return Verdict(self.mutant, outcome, monotonic() - self.begun, self.output.read_text(encoding="utf-8"))


def share() -> None:
    """Import what every trial needs, but the product; whatever would start a thread with that is kept from it."""
    with patch.object(threading.Thread, "start"):
        for name in _SHARED:
            import_module(name)


def server_of(tests: Iterable[str]) -> tuple[str, ...]:
    """What says so to pytest: the tables of this process, but for functions, whose tests need queues too."""
    return () if any(test.startswith("functions") for test in tests) else ("--server", "memory")


def fails_unplanted(tests: Iterable[str]) -> str | None:
    """What these tests say where they fail without any mutant; None where they pass."""
    with TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        process = _begun(None, list(dict.fromkeys(tests)), output)
        process.join()
        return None if process.exitcode == _RAN else output.read_text(encoding="utf-8")


def trials(mutants: Sequence[Mutant], *, jobs: int, limit_s: float) -> Iterator[Verdict]:
    """The verdicts, as they come."""
    waiting = list(reversed(mutants))
    running: list[_Trial] = []
    with TemporaryDirectory() as folder:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_trial(waiting.pop(), Path(folder) / f"{len(waiting)}"))
            wait([trial.process.sentinel for trial in running], timeout=_patience(running, limit_s))
            over = [trial for trial in running if _is_over(trial, limit_s)]
            running = [trial for trial in running if trial not in over]
            yield from map(_judged, over)


def _trial(mutant: Mutant, output: Path) -> _Trial:
    return _Trial(mutant, _begun(mutant, mutant.tests, output), monotonic(), output)


def _patience(running: Iterable[_Trial], limit_s: float) -> float:
    return max(0.0, min(trial.begun for trial in running) + limit_s - monotonic())


def _is_over(trial: _Trial, limit_s: float) -> bool:
    return not trial.process.is_alive() or monotonic() - trial.begun >= limit_s


def _judged(trial: _Trial) -> Verdict:
    if trial.process.is_alive():
        trial.process.kill()
        trial.process.join()
        return trial.verdict(KILLED_BY_TIME)
    return trial.verdict(_OUTCOMES.get(trial.process.exitcode or 0, BROKEN))


def _begun(mutant: Mutant | None, tests: Sequence[str], output: Path) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_tried, args=(mutant, tests, output))
    process.start()
    return process


def _tried(mutant: Mutant | None, tests: Sequence[str], output: Path) -> None:
    place = os.open(output, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(place, stream)
    if mutant is not None:
        plant(mutant)
    os.chdir(ROOT)
    nodes = [str(TESTS / test) for test in tests]
    sys.exit(_RAN + pytest.main([*_PLAINLY, *server_of(tests), *nodes]))
