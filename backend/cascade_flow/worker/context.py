"""The context that a step gets from a worker: its heartbeat is real, and its checkpoints are stored and replayed.

A checkpoint is known by its name and its number among those of that name. What earlier attempts stored is asked for
once, at the first checkpoint, and only after the first attempt. Where checkpoints go is the store's business.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from cascade_flow.authoring import Later, Skip, StepContext
from cascade_flow.authoring.context import inside
from cascade_flow.authoring.payloads import Payload, returned
from cascade_flow.clock import now_us
from cascade_flow.errors import (
    CascadeFlowError,
    ConfigurationError,
    DefinitionError,
    InputInvalidError,
    StaleAttemptError,
)
from cascade_flow.model.events import CheckpointRef, StepError
from cascade_flow.worker.interrupt import Cause, Interrupt, Interrupted, sheltered
from cascade_flow.worker.step_logging import step_logger
from cascade_flow.worker.tracebacks import step_error

if TYPE_CHECKING:
    from cascade_flow.model.states import Checkpoint
    from cascade_flow.operations.checkpoints import CheckpointNumber

T = TypeVar("T")


class CheckpointStore(Protocol):
    """Where the checkpoints of one step of one run are kept. StaleAttemptError from it stops the attempt."""

    def recorded(self) -> Iterable[CheckpointNumber]:
        """Those of all attempts so far."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Store it before the step goes on."""

    def failed(self, place: CheckpointRef, parent: CheckpointRef | None, error: StepError) -> None:
        """Store that the checkpoint's own code failed."""


class AttemptContext(StepContext):
    """One attempt's context. `beat` is called for `heartbeat()`; `deadline_us` is when the attempt will be stopped;
    `address` makes those of `callback_url`.
    """

    def __init__(
        self,
        *,
        run_id: str,
        workflow_slug: str,
        step_id: str,
        attempt: int,
        first_run_id: str | None = None,
        interrupt: Interrupt,
        beat: Callable[[], None],
        store: CheckpointStore,
        deadline_us: int | None = None,
        address: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(
            run_id=run_id,
            workflow_slug=workflow_slug,
            step_id=step_id,
            attempt=attempt,
            first_run_id=first_run_id,
        )
        self._log = step_logger(f"{workflow_slug}.{step_id}")
        self._interrupt = interrupt
        self._beat = beat
        self._store = store
        self._deadline_us = deadline_us
        self._address = address
        self._lock = threading.RLock()
        self._known: Sequence[CheckpointNumber] | None = None
        self._part_of = ""

    @property
    def log(self) -> logging.Logger:
        return self._log

    @property
    def remaining_ms(self) -> int | None:
        return None if self._deadline_us is None else max(0, self._deadline_us - now_us()) // 1000

    def callback_url(self, event: str) -> str:
        if self._address is None:
            raise ConfigurationError(
                f"step {self.step_id!r}: a worker on a machine of your own makes no addresses: let a step that Lambda "
                "carries out make it, and return it"
            )
        return self._addressed(event)

    @sheltered
    def _addressed(self, event: str) -> str:
        assert self._address is not None, "asked for before"
        return self._address(event)

    def heartbeat(self) -> None:
        self._beat_now()
        self._interrupt.check()

    def checkpoint(self, name: str, function: Callable[[], T], *, returns: Any = None, label: str | None = None) -> T:
        if not name:
            raise DefinitionError(f"step {self.step_id!r}: a checkpoint needs a name, such as the thing that it does")
        payload = returned(function, returns, f"step {self.step_id!r}: checkpoint {name!r}")
        place, known = self._next(name)
        if iscoroutinefunction(function):
            return cast(T, self._awaited(place, known, function, payload, label))
        if known is None:
            with self._part(place) as parent:
                data = payload.dump(function(), f"what checkpoint {name!r} returned")
            known = self._stored(place, parent, data, label)
        result: T = self._load(payload, known)
        return result

    def keep(self, name: str, text_of: Callable[[], str]) -> str:
        """The JSON text that stands for a part of the work, made if no earlier attempt has stored it.

        Checkpoints inside it are numbered by themselves: a part that failed early leaves its numbers to no other.
        """
        place, known = self._next(name)
        if known is None:
            with self._part(place) as parent, self._within(place):
                data = text_of()
            known = self._stored(place, parent, data, None)
        return known.data or "null"

    @contextmanager
    def _within(self, place: CheckpointRef) -> Iterator[None]:
        self._part_of = f"{place.sequence_number}/"
        try:
            yield
        finally:
            self._part_of = ""

    async def _awaited(
        self,
        place: CheckpointRef,
        known: Checkpoint | None,
        function: Callable[[], Any],
        payload: Payload,
        label: str | None,
    ) -> Any:
        """The same of an async function. Its number is that of the call, not of when it is awaited."""
        if known is None:
            with self._part(place) as parent:
                data = payload.dump(await function(), f"what checkpoint {place.name!r} returned")
            known = self._stored(place, parent, data, label)
        return self._load(payload, known)

    @contextmanager
    def _part(self, place: CheckpointRef) -> Iterator[CheckpointRef | None]:
        """Around the checkpoint's own code: what fails there is recorded, and goes on its way."""
        parent = inside.get()
        token = inside.set(place)
        try:
            yield parent
        except (Skip, Later):
            raise
        except Exception as error:
            self._record_failure(place, parent, error)
            raise
        finally:
            inside.reset(token)

    def _stored(self, place: CheckpointRef, parent: CheckpointRef | None, data: str, label: str | None) -> Checkpoint:
        from cascade_flow.model.states import Checkpoint  # noqa: PLC0415  (most steps make none)

        checkpoint = Checkpoint(
            name=place.name,
            sequence_number=place.sequence_number,
            attempt_number=self.attempt,
            data=data,
            label=label,
            parent_checkpoint=parent,
        )
        self._save(checkpoint)
        return checkpoint

    def _load(self, payload: Payload, known: Checkpoint) -> Any:
        what = f"step {self.step_id!r}: what checkpoint {known.name!r} stored in attempt {known.attempt_number}"
        try:
            return payload.load(known.data, what)
        except InputInvalidError as error:
            cure = "if its type has changed, give the checkpoint another name"
            raise InputInvalidError(f"{error}: {cure}", issues=error.issues) from error

    @sheltered
    def _next(self, name: str) -> tuple[CheckpointRef, Checkpoint | None]:
        """The place of the next checkpoint of this name, and what is stored there."""
        with self._lock:
            name = f"{self._part_of}{name}"
            place = CheckpointRef(name=name, sequence_number=self._counts[name])
            self._counts[name] += 1
            known = next((each.stored for each in self._recorded() if each.stored and each.place == place), None)
            if known:
                self._pass_over(place, known.attempt_number)
            return place, known

    def _recorded(self) -> Sequence[CheckpointNumber]:
        if self._known is None:
            with self._fenced():
                self._known = list(self._store.recorded()) if self.attempt > 1 else []
        return self._known

    def _pass_over(self, place: CheckpointRef, attempt: int, around: frozenset[CheckpointRef] = frozenset()) -> None:
        """Count the checkpoints inside one that is not run again, so that later ones keep their numbers.

        Those that failed inside it count too, where that was in the attempt that came to its end.
        """
        around |= {place}
        for each in self._recorded():
            is_inside = each.parent == place and each.place not in around
            if is_inside and (each.stored or each.attempt == attempt):
                self._counts[each.place.name] = max(self._counts[each.place.name], each.place.sequence_number + 1)
                self._pass_over(each.place, each.attempt, around)

    @sheltered
    def _beat_now(self) -> None:
        self._beat()

    @sheltered
    def _save(self, checkpoint: Checkpoint) -> None:
        with self._fenced():
            self._store.save(checkpoint)

    @sheltered
    def _record_failure(self, place: CheckpointRef, parent: CheckpointRef | None, error: Exception) -> None:
        try:
            with self._fenced():
                self._store.failed(place, parent, step_error(error))
        except CascadeFlowError as unrecorded:
            error.add_note(f"(checkpoint {place.name!r}: this failure could not be recorded: {unrecorded})")

    @contextmanager
    def _fenced(self) -> Iterator[None]:
        """An attempt that is told it is stale stops here, whatever its code does with errors."""
        try:
            yield
        except StaleAttemptError:
            self._interrupt.fire(Cause.LOST)
            raise Interrupted from None
