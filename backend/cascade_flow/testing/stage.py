"""Where the steps of a test's runs are played: in the test's own thread and process, with fakes and mishaps as planned.

The process is left as it is but for its streams, which are listened to: pytest's captures, `-s` and debuggers work as
they always do. What is meant for the test and not for the worker (Ctrl-C, `pytest.fail`, a debugger's `quit`) stops
the attempt, and is raised again where the test called the engine.
"""

from __future__ import annotations

import sys
import threading
from bdb import BdbQuit
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CoroutineType, FrameType, TracebackType
from typing import Any, TypeVar

from cascade_flow.authoring import Step, StepContext
from cascade_flow.authoring.maps import Items
from cascade_flow.authoring.parameters import Parameter, Source
from cascade_flow.authoring.payloads import ANYTHING
from cascade_flow.authoring.steps import Function
from cascade_flow.authoring.subworkflows import Called
from cascade_flow.engine.state import Run
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.operations.steps import HeldAttempt
from cascade_flow.testing import fakes
from cascade_flow.testing.inside import Spot, root_of, way_to
from cascade_flow.testing.mishaps import Mishap
from cascade_flow.worker.capture import Capture, Sink
from cascade_flow.worker.heartbeat import Heartbeat
from cascade_flow.worker.interrupt import Cause, Interrupt, Interrupted
from cascade_flow.worker.means import Means

T = TypeVar("T")
Place = tuple[str, str, int]
"""A run, a step of it, and the attempt."""
Script = Callable[[int | None], tuple[Function, Mishap | None]]
"""What is called for an item, or for a step that is no map, and what befalls it."""

REAL: Any = object()
"""Stands where no fake does."""
_NUMBER = "$number"
"""The parameter by which a map's code, whatever it takes, is told its item's number here."""

_OURS = str(Path(__file__).parents[1])
_DEBUGGERS = frozenset({"bdb", "pdb", "ipdb", "pudb", "pydevd", "_pydevd_bundle", "_pydevd_frame_eval"})
_PYTESTS = "_pytest.debugging"


@dataclass(frozen=True)
class Raised:
    """What a step's code raised, and where."""

    error: BaseException
    traceback: TracebackType


@dataclass
class Plan:
    """How one run is to be played."""

    fakes: Mapping[Spot, Any] = field(default_factory=dict)
    mishaps: list[Mishap] = field(default_factory=list)

    def fake(self, spot: Spot) -> Any:
        """What stands in for the code there, for an item alone or for a map as a whole; REAL where nothing does."""
        return self.fakes.get(spot, self.fakes.get(Spot(spot.way), REAL))

    def mishap(self, spot: Spot, attempt: int) -> Mishap | None:
        """What befalls an attempt there."""
        return next((each for each in self.mishaps if each.befalls(spot, attempt)), None)


class PlayedInterrupt(Interrupt):
    """Runs a step's code where the test runs. Only a timeout that the step declares ends it, unless it is debugged."""

    def __init__(self, *, is_timed: bool) -> None:
        super().__init__()
        self._is_timed = is_timed and not is_debugged(None)
        self._is_waived = is_debugged

    def run(self, function: Callable[[], T], *, timeout_ms: int | None) -> T:
        is_main = threading.current_thread() is threading.main_thread()
        result = self._run_here(function, timeout_ms) if self._is_timed and is_main else function()
        self.check()
        return result

    def ended_by(self, cause: Cause) -> Interrupted:
        """What is to be raised, here and now, to end the code."""
        self._set(cause)
        return Interrupted()


class QuietHeartbeat(Heartbeat):
    """Beats when the step asks for it: while a step is played nobody else could take it."""

    def __enter__(self) -> Heartbeat:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Stage(Means):
    """The means of the test's worker. `raised` holds what attempts have raised, `escaped` what the test is to get."""

    def __init__(self, passing: Sequence[type[BaseException]] = ()) -> None:
        self.plans: dict[str, Plan] = {}
        self.raised: dict[Place, Raised] = {}
        self.escaped: BaseException | None = None
        self._passing: tuple[type[BaseException], ...] = (BdbQuit, *passing)
        self._interrupt = PlayedInterrupt(is_timed=False)
        self._stands_for_a_run = False

    @property
    def is_dead(self) -> bool:
        """Whether the worker of the last attempt has died in it."""
        return self._interrupt.cause is Cause.LOST

    def step(self, step: Step, held: HeldAttempt) -> Step:
        self._interrupt = PlayedInterrupt(is_timed=step.declared.timeout_ms is not None)
        run, attempt = held.run, held.branch.attempt
        plan = self._plan_of(run)
        spot = Spot(way_to(_undone(run), step.id, is_item=run.up is not None and run.up.is_item))
        self._stands_for_a_run = isinstance(step.children, Called) and plan.fake(spot) is not REAL
        if self._stands_for_a_run:
            step = _in_place_of_a_run(step)

        def script(item: int | None) -> tuple[Function, Mishap | None]:
            here = replace(spot, item=item)
            fake = plan.fake(here)
            function = step.function if fake is REAL else fakes.function_of(step, fake, attempt)
            return function, plan.mishap(here, attempt)

        played = self._played(script, (run.run_id, step.id, attempt))
        return replace(_numbered(step), declared=replace(step.declared, function=played))

    def children(self, held: HeldAttempt) -> ChildrenDefinition | None:
        return None if self._stands_for_a_run else super().children(held)

    def _plan_of(self, run: Run) -> Plan:
        return self.plans.get(run.run_id) or self.plans.get(root_of(_undone(run))) or Plan()

    def interrupt(self) -> Interrupt:
        return self._interrupt

    def capture(self, sink: Sink, *, after_us: int, on_exit: Callable[[str], None]) -> Capture:
        def die(words: str) -> None:
            on_exit(words)
            self._interrupt.fire(Cause.LOST)

        return Capture(sink, after_us=after_us, on_exit=die, streams_only=True)

    def heartbeat(self, *given: Any, **options: Any) -> Heartbeat:
        return QuietHeartbeat(*given, **options)

    def _played(self, script: Script, place: Place) -> Function:
        def played(**arguments: Any) -> Any:
            function, mishap = script(arguments.pop(_NUMBER, None))
            if mishap is not None:
                self._prepare(mishap, arguments)
            with self._heard(place):
                result = function(**arguments)
            if isinstance(result, CoroutineType):
                return self._awaited(result, mishap, place)
            self._befall_after(mishap)
            return result

        return played

    async def _awaited(self, coroutine: CoroutineType[Any, Any, Any], mishap: Mishap | None, place: Place) -> Any:
        from asyncio import CancelledError  # noqa: PLC0415  (its loop is there already)

        with self._heard(place, CancelledError):
            result = await coroutine
        self._befall_after(mishap)
        return result

    def _befall_after(self, mishap: Mishap | None) -> None:
        """What was planned for when the step's code is through."""
        if mishap is not None and mishap.after_checkpoint is None:
            self._befall(mishap)

    @contextmanager
    def _heard(self, place: Place, *stops: type[BaseException]) -> Iterator[None]:
        """Around the step's code: what it raises is noted, and what is meant for the test, and is no word by which an
        attempt is stopped, is kept for that.
        """
        passed: tuple[type[BaseException], ...] = (Interrupted, *stops)
        try:
            yield
        except passed as error:
            self._note(error, place)
            raise
        except (Exception, SystemExit) as error:
            self._note(error, place)
            if isinstance(error, self._passing):
                raise self._escaped(error) from error
            raise
        except BaseException as error:  # it is meant for the test
            raise self._escaped(error) from error

    def _note(self, error: BaseException, place: Place) -> None:
        """Only of code that is not ours, as that of a fake that does nothing but raise."""
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_OURS):
            traceback = traceback.tb_next
        if traceback is not None:
            self.raised[place] = Raised(error, traceback)

    def _escaped(self, error: BaseException) -> Interrupted:
        self.escaped = error
        return self._interrupt.ended_by(Cause.LOST)

    def _befall(self, mishap: Mishap) -> None:
        mishap.happened = True
        raise self._interrupt.ended_by(mishap.cause)

    def _prepare(self, mishap: Mishap, arguments: Mapping[str, Any]) -> None:
        if mishap.when == "start":
            self._befall(mishap)
        for context in arguments.values():
            if isinstance(context, StepContext) and mishap.after_checkpoint is not None:
                context.checkpoint = self._dying(mishap, context)  # type: ignore[method-assign]

    def _dying(self, mishap: Mishap, context: StepContext) -> Callable[..., Any]:
        """The context's own `checkpoint`, and the end where it is the one that was planned."""
        store = context.checkpoint

        def die_at(name: str) -> None:
            if name == mishap.after_checkpoint and not mishap.happened:
                self._befall(mishap)

        async def awaited(name: str, coroutine: CoroutineType[Any, Any, Any]) -> Any:
            result = await coroutine
            die_at(name)
            return result

        def checkpoint(name: str, function: Callable[[], Any], **options: Any) -> Any:
            result = store(name, function, **options)
            if isinstance(result, CoroutineType):
                return awaited(name, result)
            die_at(name)
            return result

        return checkpoint


def _numbered(step: Step) -> Step:
    if not isinstance(step.children, Items):
        return step
    number = Parameter(_NUMBER, Source.INDEX, ANYTHING)
    return replace(step, parameters=(*step.parameters, number))


def _in_place_of_a_run(step: Step) -> Step:
    """A step that gives what the run of a sub-workflow would, and begins none."""
    return replace(step, children=None, output=step.gives)


def _undone(run: Run) -> str:
    """A run that undoes another is played as that one is planned."""
    return run.run_id if run.undoing is None else run.undoing.run_id


def is_debugged(frame: FrameType | None) -> bool:
    """Whether somebody looks at this code with a debugger: one traces it, or it stands at a prompt."""
    monitoring: Any = getattr(sys, "monitoring", None)
    if _is_debugger(sys.gettrace()) or (monitoring and monitoring.get_tool(monitoring.DEBUGGER_ID)):
        return True
    while frame is not None:
        if _is_debuggers(frame.f_globals.get("__name__", "")) or _is_debugger(frame.f_trace):
            return True
        frame = frame.f_back
    return False


def _is_debugger(trace: Any) -> bool:
    return trace is not None and _is_debuggers(getattr(trace, "__module__", None) or type(trace).__module__)


def _is_debuggers(module: str) -> bool:
    return module == _PYTESTS or module.partition(".")[0] in _DEBUGGERS
