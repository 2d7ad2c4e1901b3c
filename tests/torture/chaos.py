"""Chaos on the deployed local stack: users at work, a monkey that breaks things, and a verdict at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from cascade_flow.clock import now_us, pause_us
from e2e.stack import Kit, Stack, deployed, free_port
from torture.monkey import Monkey
from torture.proxy import LossyProxy
from torture.report import Report, Slowest
from torture.users import Town, User
from torture.verdict import violations

USERS = 4
_PARAMETERS = {"WorkflowsPackage": "chaos", "WorkerConcurrency": "4"}
_PROGRESS_US = 15_000_000

Say = Callable[[str], None]


def chaos(seed: int, minutes: float, *, users: int, keep: bool, say: Say) -> Report:
    """Deploy a stack, break it for so long, and judge what is left of it. With `keep`, a stack that fails is left."""
    with LossyProxy(seed) as proxy, _stack(proxy, say) as stack:
        town = Town(stack, stack.project.root / "town")
        town.folder.mkdir()
        monkey = Monkey(town, proxy, seed)
        people = [User(town, seed, f"user-{n}") for n in range(users)]
        people[0].look_around()
        say(f"chaos begins: {minutes:g} minutes, seed {seed}, {users} users")
        _live(town, monkey, people, int(minutes * 60_000_000), say)
        say("chaos is over, and everything must settle")
        report = _judged(town, monkey, proxy, seed, minutes)
        if report.violations and keep:
            _leave(stack, say)
    return report


@contextmanager
def _stack(proxy: LossyProxy, say: Say) -> Iterator[Stack]:
    root = Path(tempfile.mkdtemp(prefix="cascade-torture-"))
    kit = Kit(Path(__file__).parent / "workflows", _PARAMETERS, {"HTTP_PROXY": proxy.url})
    say(f"deploying a stack in {root}")
    with deployed(root, free_port(), kit) as stack:
        yield stack
        is_left = stack.lifeline.lives_on
    if not is_left:
        shutil.rmtree(root)


def _leave(stack: Stack, say: Say) -> None:
    """Its functions reach nothing any more, since the proxy goes; its table, logs and book are there to be read."""
    stack.lifeline.let_live()
    say(f"the stack is left in {stack.project.root}; end it there: cascade down")


def _live(town: Town, monkey: Monkey, people: list[User], for_us: int, say: Say) -> None:
    """Everybody at work until time is over. What fails in the harness itself is raised here."""
    with ThreadPoolExecutor(len(people) + 1) as threads:
        begun = [threads.submit(work) for work in (*(each.work for each in people), monkey.work)]
        try:
            _watch(town, monkey, begun, now_us() + for_us, say)
        finally:
            town.over.set()
    for each in begun:
        each.result()


def _watch(town: Town, monkey: Monkey, begun: list[Future[None]], end_us: int, say: Say) -> None:
    """Tell how it goes; until the end, or until somebody has given up."""
    while (left_us := end_us - now_us()) > 0 and not any(each.done() for each in begun):
        pause_us(min(left_us, _PROGRESS_US))
        ended = Counter(town.stack.status(run.run_id) for run in list(town.promised))
        told = ", ".join(f"{count} {status}" for status, count in sorted(ended.items()))
        left_s = max(0, end_us - now_us()) // 1_000_000
        say(f"{left_s:>4} s left: {told}; {sum(monkey.counts.values()):,} faults; {len(town.complaints)} complaints")


def _judged(town: Town, monkey: Monkey, proxy: LossyProxy, seed: int, minutes: float) -> Report:
    found = list(violations(town))
    runs: dict[str, Counter[str]] = {}
    for run in town.promised:
        runs.setdefault(run.shape, Counter())[town.stack.status(run.run_id)] += 1
    events = sum(len(town.stack.backend.load_events(run.shape, run.run_id)) for run in town.promised)
    return Report(
        seed=seed,
        minutes=minutes,
        runs={shape: dict(ends) for shape, ends in runs.items()},
        events=events,
        attempts=len(town.begun()),
        injected={**monkey.counts, "messages given up, about": town.stack.wakeups.dead()},
        network=dict(proxy.counts),
        slowest=_slowest(town),
        remarks=town.remarks,
        violations=found,
    )


def _slowest(town: Town) -> Slowest | None:
    took = {run.run_id: _took_us(town, run.run_id) for run in town.promised}
    run = max(town.promised, key=lambda run: took[run.run_id], default=None)
    if run is None:
        return None
    pause_us, before = _longest_pause(town, run.run_id)
    return Slowest(run.run_id, run.shape, took[run.run_id] / 1_000_000, pause_us / 1_000_000, before)


def _longest_pause(town: Town, run_id: str) -> tuple[int, str]:
    """Between two events of the run's own, and before which; until somebody tries it again it waits for people."""
    run = town.stack.backend.runtime.ledger.run(run_id)
    assert run is not None
    events = town.stack.backend.load_events(run.workflow_slug, run_id)
    own = [event for event in events if event.timestamp_us >= max(run.created_us, run.available_at_us)]
    pauses = [
        (after.timestamp_us - before.timestamp_us, f"{after.type} {getattr(after, 'step_id', '')}".strip())
        for before, after in pairwise(own)
        if after.type != "WorkflowRetryStarted"
    ]
    return max(pauses, default=(0, "its only event"))


def _took_us(town: Town, run_id: str) -> int:
    run = town.stack.backend.runtime.ledger.run(run_id)
    if run is None or run.completed_at_us is None:
        return 0
    return run.completed_at_us - max(run.created_us, run.available_at_us)
