"""Many runs submitted at once, each answered for itself: one that is refused loses no other.

Some are made at the same time. Those that say the same id or key are heard one after the other, in their order. When
time is over, or the table is busy, no more are begun; what is left may be sent again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from cascade_flow import clock
from cascade_flow.errors import BackendUnavailableError, CascadeFlowError, SetupError, ThrottledError
from cascade_flow.model.states import SubmittedRun
from cascade_flow.model.workflows import RunSubmission
from cascade_flow.operations.lanes import Lanes, OneByOne
from cascade_flow.operations.runs import Runs
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import replace
from cascade_flow.seal import Seal
from cascade_flow.wake import Wake

AT_ONCE = 40
"""Runs between two messages to the queue, which takes ten wake-ups in one."""

Wish = RunSubmission | CascadeFlowError
"""A submission, or why what was sent is none."""
Outcome = SubmittedRun | CascadeFlowError | None
"""The run that stands for a submission, or why none does; None where nothing was done about it."""

_log = logging.getLogger(__name__)


class _Gathered:
    """A queue that keeps wake-ups until they are sent together."""

    def __init__(self, seal: Seal | None) -> None:
        self.seal = seal
        self.wakes: list[Wake] = []

    def send(self, wakes: Sequence[Wake]) -> None:
        self.wakes.extend(wakes)


class Submissions:
    """The submissions of one request."""

    def __init__(self, runtime: Runtime, lanes: Lanes | None = None) -> None:
        self._gathered, self._queue = _Gathered(runtime.queue.seal), runtime.queue
        self._runs = Runs(replace(runtime, queue=self._gathered))
        self._lanes = lanes or OneByOne()
        self._trouble: CascadeFlowError | None = None

    def submit(self, wishes: Iterable[Wish], *, until_us: int) -> list[Outcome]:
        """What became of each, in their order.

        Raises SetupError, and ThrottledError or BackendUnavailableError where these let no run be made.
        """
        outcomes: list[Outcome] = []
        for group in groups(wishes):
            outcomes += self._made(group, until_us)
        if self._trouble is not None and not any(isinstance(each, SubmittedRun) for each in outcomes):
            raise self._trouble
        return outcomes

    def _made(self, group: Sequence[Wish], until_us: int) -> list[Outcome]:
        try:
            return self._lanes.each(partial(self._outcome, until_us=until_us), group)
        finally:
            wakes, self._gathered.wakes = self._gathered.wakes, []
            self._queue.send(wakes)

    def _outcome(self, wish: Wish, *, until_us: int) -> Outcome:
        if isinstance(wish, CascadeFlowError):
            return wish
        if self._trouble is not None or clock.now_us() >= until_us:
            return None
        try:
            return self._runs.submit(wish)
        except SetupError:
            raise
        except (ThrottledError, BackendUnavailableError) as error:
            self._trouble = error
            return error
        except CascadeFlowError as error:
            return error
        except Exception:  # noqa: BLE001  what nobody foresaw in one submission must not lose the answer to the others
            _log.exception("a mistake of ours")
            return CascadeFlowError()


def groups(wishes: Iterable[Wish]) -> Iterator[list[Wish]]:
    """The wishes in their order, in groups in which no two say the same id or key."""
    group, names = list[Wish](), set[tuple[str, str]]()
    for wish in wishes:
        said = _names(wish)
        if len(group) == AT_ONCE or names & said:
            yield group
            group, names = [], set()
        group.append(wish)
        names |= said
    yield group


def _names(wish: Wish) -> set[tuple[str, str]]:
    if isinstance(wish, CascadeFlowError):
        return set()
    said = {"id": wish.run_id, "key": wish.idempotency_key}
    return {(kind, name) for kind, name in said.items() if name is not None}
