"""Many mutants before many tests, quickly: a process that has collected the tests is forked for each mutant.

A mutant meets only those tests that execute its lines: first those that have killed its neighbours, then the quickest.
"""

from __future__ import annotations

import gc
import os
import pickle
import resource
import select
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, process_time

import pytest

from mutants.mutant import ROOT, TESTS, Mutant
from mutants.planting import plant
from mutants.reach import Reach, reach_of
from mutants.swapping import Functions, NotSwappable, functions, swap, swaps
from mutants.trial import KILLED, KILLED_BY_TIME, SURVIVED, Verdict, server_of
from testbed.inprocess import preload

UNSEEN, AT_IMPORT = "UNSEEN", "at import"
"""What no test executes; what is no part of a function, and needs a process that imports it anew."""
GATE = (
    ("unit", "clauses", "contract", "properties", "budgets"),
    ("functions",),
    ("faults", "histories", "peer"),
)
"""What the gate has beside a module's own suites and stacks: who survives those meets these, one after the other."""
_OPTIONS = ("-q", "--no-header", "--assert=plain", "-p", "no:cacheprovider", "--timeout=0")
_HANGS_TRACED = ("unit/worker/test_interrupt.py", "unit/worker/test_interrupt_in_time.py")
"""What waits for a signal: under the sieve's tracer it never ends on a busy machine."""
_SURVIVES, _IS_KILLED, _IS_NOT_SWAPPED = 0, 1, 3
_OUTCOMES = {_SURVIVES: SURVIVED, _IS_KILLED: KILLED, _IS_NOT_SWAPPED: AT_IMPORT}
"""What the process of a mutant says with its exit code; one that was ended says nothing."""
_PATIENCE_S, _SLOWER = 240, 4
"""How long a mutant may take, all in all, on a busy machine: so many seconds, or so many times what its tests took."""


Told = Callable[[Verdict], object]


@dataclass(eq=False)
class Sieve:
    """A pytest plugin: instead of running the session's tests it holds the mutants against them."""

    mutants: Sequence[Mutant]
    limit_s: float
    told: Told
    among: Functions = field(default_factory=dict)
    _failed: bool = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = session.items
        session.config.pluginmanager.unregister(name="terminalreporter")
        places = {mutant.place for mutant in self.mutants}
        reach = _forked(lambda: reach_of(items, lambda number: self._run(items[number]), places))
        killers: dict[str, Counter[int]] = defaultdict(Counter)
        self.among = functions()
        preload()
        gc.freeze()
        for mutant in self.mutants:
            tests = _in_order(reach, mutant, killers[mutant.place])
            patience_s = max(_PATIENCE_S, _SLOWER * sum(reach.seconds[test] for test in tests))
            outcome, test, seconds = self._tested(items, tests, mutant, patience_s)
            if test is not None:
                killers[mutant.place][test] += 1
            self.told(Verdict(mutant, outcome, seconds, "" if test is None else items[test].nodeid))
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed = self._failed or report.failed

    def _run(self, item: pytest.Item) -> bool:
        """Whether this test passes."""
        self._failed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return not self._failed

    def _tested(
        self, items: Sequence[pytest.Item], tests: Sequence[int], mutant: Mutant, patience_s: float
    ) -> tuple[str, int | None, float]:
        if not _is_swappable(mutant):
            return AT_IMPORT, None, 0.0
        if not tests:
            return UNSEEN, None, 0.0
        begun = monotonic()
        with tempfile.NamedTemporaryFile() as told:
            child = os.fork()
            if child == 0:
                self._tried(items, tests, mutant, Path(told.name))
            status = _ended(child, patience_s)
            test = int(told.read() or -1)
        outcome = _OUTCOMES.get(status, KILLED_BY_TIME)
        return outcome, test if outcome in (KILLED, KILLED_BY_TIME) and test >= 0 else None, monotonic() - begun

    def _tried(self, items: Sequence[pytest.Item], tests: Sequence[int], mutant: Mutant, told: Path) -> None:
        """In the child: the mutant's tests until one fails. The file says which was begun last."""
        _silent()
        gc.disable()
        try:
            _take(mutant, self.among)
            for test in tests:
                told.write_text(str(test))
                _limited(self.limit_s)
                if not self._run(items[test]):
                    os._exit(_IS_KILLED)
            os._exit(_SURVIVES)
        except NotSwappable:
            os._exit(_IS_NOT_SWAPPED)
        finally:
            os._exit(_IS_KILLED)


def sifted(mutants: Sequence[Mutant], suites: Sequence[str], *, limit_s: float, told: Told) -> None:
    """Hold these mutants against these suites, and tell of each as it comes.

    In a process of its own, since whoever tries other mutants later must not have imported the product.
    """
    heard, says = Pipe(duplex=False)
    process = get_context("fork").Process(target=_sift, args=(mutants, suites, limit_s, says))
    process.start()
    says.close()
    with suppress(EOFError):
        while True:
            number, outcome, seconds, test = heard.recv()
            told(Verdict(mutants[number], outcome, seconds, test))
    process.join()
    assert process.exitcode == 0


def _sift(mutants: Sequence[Mutant], suites: Sequence[str], limit_s: float, says: Connection) -> None:
    os.chdir(ROOT)
    numbers = {id(mutant): number for number, mutant in enumerate(mutants)}
    sieve = Sieve(mutants, limit_s, lambda it: says.send((numbers[id(it.mutant)], it.outcome, it.seconds, it.told)))
    left_out = [f"--ignore={TESTS / place}" for place in _HANGS_TRACED]
    pytest.main([*_OPTIONS, *left_out, *server_of(suites), *(str(TESTS / suite) for suite in suites)], plugins=[sieve])


def _is_swappable(mutant: Mutant) -> bool:
    try:
        return bool(swaps(mutant))
    except NotSwappable:
        return False


def _take(mutant: Mutant, among: Functions) -> None:
    """The mistake is in this process from now on, also where its module is first imported by a test."""
    if mutant.module in sys.modules:
        swap(mutant, among)
    else:
        plant(mutant)


def _in_order(reach: Reach, mutant: Mutant, killers: Counter[int]) -> list[int]:
    tests = reach.of(mutant.place, mutant.lines)
    return sorted(tests, key=lambda test: (-killers[test], reach.seconds[test]))


def _ended(child: int, patience_s: float) -> int:
    """The child's exit code; it is killed where it waits for what does not come."""
    handle = os.pidfd_open(child)
    ready, _, _ = select.select([handle], [], [], patience_s)
    os.close(handle)
    if not ready:
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _limited(seconds: float) -> None:
    """End this process where it takes more than so much of the processor from now on: it goes round in a circle."""
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(process_time() + seconds), resource.RLIM_INFINITY))


def _forked(work: Callable[[], Reach]) -> Reach:
    """What a process of its own has found."""
    with tempfile.NamedTemporaryFile() as found:
        child = os.fork()
        if child == 0:
            try:
                _silent()
                Path(found.name).write_bytes(pickle.dumps(work()))
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        reach: Reach = pickle.loads(found.read())
    return reach


def _silent() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
