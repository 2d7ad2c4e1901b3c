"""The chaos monkey: what befalls a stack, drawn from a seed, one thing after the other."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from cascade_flow import StepScheduled
from cascade_flow.clock import now_us
from cascade_flow.engine.state import is_urgent
from cascade_flow.errors import CascadeFlowError
from cascade_flow.local import emulator, up
from cascade_flow.wake import Wake
from e2e.stack import SWEEP_US, TIMING
from torture.proxy import Loss, LossyProxy, Rates
from torture.users import Town

DRIZZLE: Rates = {
    Loss.DROP_BEFORE: 0.003,
    Loss.DROP_AFTER: 0.006,
    Loss.CUT: 0.002,
    Loss.ERROR_500: 0.005,
    Loss.THROTTLE: 0.005,
    Loss.DELAY: 0.01,
}
"""How the proxy breaks requests between storms."""
STORM: Rates = {loss: 8 * rate for loss, rate in DRIZZLE.items()}
BETWEEN_ACTS_S = (1.0, 5.0)
_FROZEN_US = TIMING.lease_us + TIMING.grace_us + SWEEP_US
_STEPS = re.compile(r"^STEPS = (\d+)$", re.MULTILINE)


class Monkey:
    """Does what befalls the stack until it is told to stop; `counts` says what it has done."""

    def __init__(self, town: Town, proxy: LossyProxy, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._town = town
        self._stack = town.stack
        self._proxy = proxy
        self._dice = random.Random(f"{seed} monkey")
        self._frozen: dict[int, int] = {}
        self._deployment: threading.Thread | None = None
        self._acts: Sequence[tuple[Callable[[], None], int]] = (
            (self._kill_one, 6),
            (self._kill_all_workers, 1),
            (self._kill_all_functions, 1),
            (self._freeze, 5),
            (self._lose_messages, 2),
            (self._double_messages, 5),
            (self._storm, 2),
            (self._deafen, 1),
            (self._redeploy, 1),
        )

    def work(self) -> None:
        """One act after the other until time is over; then all that stands still goes on, and what was lossy is not."""
        self._proxy.rates = DRIZZLE
        acts, weights = zip(*self._acts, strict=True)
        while not self._pause(self._dice.uniform(*BETWEEN_ACTS_S)):
            self._dice.choices(acts, weights)[0]()
        self._proxy.rates = {}
        self._thaw(until_us=2**62)
        if self._deployment is not None:
            self._deployment.join()
        if not self._deploy():
            self._town.complaints.append(f"in calm, {self._town.remarks[-1]}")

    def _pause(self, seconds: float) -> bool:
        """Let time pass, and frozen processes go on when theirs has come; whether all is over."""
        end_us = now_us() + int(seconds * 1_000_000)
        while now_us() < end_us and not self._town.over.wait(0.1):
            self._thaw(until_us=now_us())
        return self._town.over.is_set()

    # -- processes ----------------------------------------------------------------------------------------------------

    def _workers(self) -> list[int]:
        name = self._stack.local.outputs["WorkerFunctionName"]
        return emulator.processes(self._stack.project.home, self._stack.local, function=name)

    def _busy(self) -> list[int]:
        """Workers that have begun a step, the last ones first: who is still starting has nothing to lose."""
        alive = set(self._workers())
        begun = [attempt.pid for attempt in self._town.begun()]
        return list(dict.fromkeys(pid for pid in reversed(begun) if pid in alive))

    def _kill_one(self) -> None:
        for pid in self._busy()[: self._dice.choice([1, 1, 2])]:
            self._signal(pid, signal.SIGKILL, "workers killed")

    def _kill_all_workers(self) -> None:
        if self._busy():
            self.counts["times all workers were killed"] += 1
            for pid in self._workers():
                self._signal(pid, signal.SIGKILL, "workers killed")

    def _kill_all_functions(self) -> None:
        """All that runs in the emulator: workers, the API's functions, the reaper, a registration."""
        if self._busy():
            self.counts["times all functions were killed"] += 1
            for pid in emulator.processes(self._stack.project.home, self._stack.local):
                if pid != self._stack.local.pid:
                    self._signal(pid, signal.SIGKILL, "functions killed")

    def _freeze(self) -> None:
        """A worker that stands still until others have its steps, and then goes on as if nothing had been."""
        for pid in [pid for pid in self._busy() if pid not in self._frozen][: self._dice.choice([1, 2])]:
            self._frozen[pid] = now_us() + _FROZEN_US + self._dice.randrange(4_000_000)
            self._signal(pid, signal.SIGSTOP, "workers frozen beyond their lease")

    def _thaw(self, until_us: int) -> None:
        for pid in [pid for pid, due_us in self._frozen.items() if due_us <= until_us]:
            del self._frozen[pid]
            if pid in self._workers():
                self._signal(pid, signal.SIGCONT, "zombies that went on")

    def _signal(self, pid: int, sign: signal.Signals, name: str) -> None:
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            return
        self.counts[name] += 1

    # -- messages -----------------------------------------------------------------------------------------------------

    def _lose_messages(self) -> None:
        self.counts["times the queue was purged"] += 1
        self.counts["messages purged, about"] += self._stack.wakeups.waiting()
        self._stack.wakeups.lose()

    def _double_messages(self) -> None:
        """Of runs under way, and of some that are over: what they were woken for, now or long ago, once more."""
        for run in self._dice.sample(self._town.promised[-30:], min(4, len(self._town.promised[-30:]))):
            for wake in self._wakes_of(run.run_id):
                times = self._dice.choice([1, 2, 5])
                self._stack.wakeups.send(wake, times=times)
                self.counts["messages doubled"] += times

    def _wakes_of(self, run_id: str) -> list[Wake]:
        run = self._stack.backend.get_run(run_id)
        assert run is not None
        events = self._stack.backend.load_events(run.workflow_slug, run_id, types=["StepScheduled"])
        scheduled = [event for event in events if isinstance(event, StepScheduled)]
        stored = self._stack.backend.runtime.ledger.run(run_id)
        assert stored is not None
        graph = self._stack.backend.runtime.facts(stored).graph
        chosen = self._dice.sample(scheduled, min(3, len(scheduled)))
        start = Wake(run_id, urgent=is_urgent(stored.priority))
        places = [(graph.branch_of(e.step_id), e.step_id, e.attempt_number) for e in chosen]
        return [start, *(replace(start, branch=branch, step=step, attempt=n) for branch, step, n in places)]

    def _deafen(self) -> None:
        """For a while nobody is woken."""
        self.counts["times nobody listened to the queue"] += 1
        with self._stack.wakeups.unheard():
            self._pause(self._dice.uniform(1, 8))

    # -- the rest -----------------------------------------------------------------------------------------------------

    def _storm(self) -> None:
        self.counts["storms in the network"] += 1
        with ExitStack() as storm:
            storm.enter_context(self._proxy.storm(STORM))
            self._pause(self._dice.uniform(2, 8))

    def _redeploy(self) -> None:
        """Deploy beside all else: every second time the same code, else a graph with one more step."""
        if self._deployment is None or not self._deployment.is_alive():
            self._deployment = threading.Thread(target=self._deploy_changed, name="deployment")
            self._deployment.start()

    def _deploy_changed(self) -> None:
        module = self._stack.project.workflows_dir / "chaos/growing.py"
        text = module.read_text(encoding="utf-8")
        if self._dice.random() < 0.7:
            text = _STEPS.sub(lambda found: f"STEPS = {int(found[1]) + 1}", text)
        module.write_text(f"{text}\n# deployed at {now_us()}\n", encoding="utf-8")
        self._deploy()

    def _deploy(self) -> bool:
        try:
            list(up(self._stack.project))
        except CascadeFlowError as error:
            self.counts["redeployments that failed"] += 1
            self._town.remarks.append(f"a redeployment failed: {error}")
            return False
        self.counts["redeployments"] += 1
        return True
