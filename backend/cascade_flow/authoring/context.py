"""What a step may ask and tell while it runs. This class is also the stand-in for unit tests of a step: it needs no
worker. The worker's own, with an engine behind it, is `cascade_flow.worker.context`; nothing of that belongs here.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import iscoroutinefunction
from typing import Any, TypeVar, cast

from cascade_flow.authoring.payloads import Payload, returned
from cascade_flow.idempotency import idempotency_key
from cascade_flow.model.parts import CheckpointRef

T = TypeVar("T")

STEP_LOGGER = "cascade_step"
"""Not a child of the engine's own logger: what a step says is told once, by its capture."""


class StepContext:
    """The attempt that is under way. A step's parameter that is annotated with this class receives it.

    In a unit test, `StepContext()` will do: its checkpoints just call their function, its heartbeat does nothing.
    """

    def __init__(
        self,
        *,
        run_id: str = "local",
        workflow_slug: str = "local",
        step_id: str = "local",
        attempt: int = 1,
        first_run_id: str | None = None,
    ) -> None:
        self.run_id = run_id
        self.workflow_slug = workflow_slug
        self.step_id = step_id
        self.attempt = attempt
        """1 at first; one more with every retry, after every worker that died, and every `Later`."""
        self._first_run_id = first_run_id or run_id
        self._counts: Counter[str] = Counter()

    @property
    def log(self) -> logging.Logger:
        """An ordinary logger whose records, from INFO on, become the step's log."""
        all_steps = logging.getLogger(STEP_LOGGER)
        if all_steps.level == logging.NOTSET:
            all_steps.setLevel(logging.INFO)
        return all_steps.getChild(f"{self.workflow_slug}.{self.step_id}")

    @property
    def idempotency_key(self) -> str:
        """A key for the effect that comes next, such as a payment: whoever is asked twice with it does it once.

        The same in every attempt and retry of the step, and in every run that was resumed or rerun from this one,
        whatever its input; another for each step, and inside a checkpoint another for each checkpoint. So a step with
        several effects has a checkpoint around each; and what is meant to be another effect after a rerun has another
        name: `ctx.checkpoint(f"charge {amount}", ...)`. Read it in the checkpoint's function, not in a thread of that.
        """
        return idempotency_key(self.workflow_slug, self._first_run_id, self.step_id, inside.get())

    @property
    def remaining_ms(self) -> int | None:
        """Milliseconds until this attempt is stopped; None where nothing will stop it."""
        return None

    def callback_url(self, event: str) -> str:
        """An address that an outside system may call without credentials of AWS, to send this event to the run: a
        payment provider's webhook, or a link in a mail.

        Whoever opens it is asked first; a POST sends the event, once. It goes with the run. Every call of this gives
        another address, all of them for the same event: whichever is used first counts. Put it into a checkpoint to
        give away the same one in another attempt. The stack must have been deployed with `Callbacks=true`.
        """
        return f"https://callbacks.invalid/{self.run_id}/{event}"

    def heartbeat(self) -> None:
        """Say now that the step is alive, and stop here if the attempt has been given to another worker.

        Not needed to stay alive (the worker does that by itself); useful before something that must not happen twice.
        """

    def checkpoint(self, name: str, function: Callable[[], T], *, returns: Any = None, label: str | None = None) -> T:
        """What `function()` returns, stored; on a retry what was stored, without a call.

        A checkpoint is known by its name and, where a name is used repeatedly, by the order of the calls: keep that
        order the same. Inside a function that is itself a checkpoint, calls are nested. The result travels as JSON, in
        the type of the function's return annotation or of `returns`; the caller gets it as a retry would. A failure
        is recorded and goes on its way. Where `function` is async, so is this: `await ctx.checkpoint(...)`.
        """
        payload = returned(function, returns, f"checkpoint {name!r}")
        place = CheckpointRef(name=name, sequence_number=self._counts[name])
        self._counts[name] += 1
        if iscoroutinefunction(function):
            return cast(T, _awaited(place, function, payload))
        with _within(place):
            text = payload.dump(function(), f"what checkpoint {name!r} returned")
        result: T = payload.load(text, f"checkpoint {name!r}")
        return result


async def _awaited(place: CheckpointRef, function: Callable[[], Any], payload: Payload) -> Any:
    with _within(place):
        text = payload.dump(await function(), f"what checkpoint {place.name!r} returned")
    return payload.load(text, f"checkpoint {place.name!r}")


@contextmanager
def _within(place: CheckpointRef) -> Iterator[None]:
    token = inside.set(place)
    try:
        yield
    finally:
        inside.reset(token)


inside: ContextVar[CheckpointRef | None] = ContextVar("cascade_flow_checkpoint", default=None)
"""The checkpoint whose function is being called."""
