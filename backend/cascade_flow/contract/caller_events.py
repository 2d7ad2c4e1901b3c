"""Events as such: appended, copied and deleted, as a part of the contract. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable

from cascade_flow.contract.argument_checks import checked
from cascade_flow.model.events import Event
from cascade_flow.operations.appends import Appends
from cascade_flow.operations.copies import Copies


@checked
class EventsByCallers:
    """Events that a caller writes, copies or takes away."""

    _appends: Appends
    _copies: Copies

    def append_event(self, workflow_slug: str, run_id: str, event: Event) -> Event:
        """Store an event at its time, or as soon after as is free; answers what was stored. A new run is made.

        Stored state follows, also where the time lies in the past. Appended again, an event is stored again. On a run
        that the engine drives only events that change no state.

        Raises EngineDrivenError (it would change the state of the engine's run, or that has ended), RunNotFoundError
        (the id belongs to another workflow's run), StepNotFoundError (the graph of the engine's run has none such),
        EventInvalidError (its time is none), InvalidIdError, PayloadTooLargeError.
        """
        return self._appends.append(workflow_slug, run_id, event)

    def batch_append_events(self, events: Iterable[Event]) -> list[Event]:
        """Append one by one; an error's `facts["stored"]` are the events stored before it: appended again, they are
        stored again.

        Raises EngineDrivenError, RunNotFoundError, StepNotFoundError, EventInvalidError, InvalidIdError,
        PayloadTooLargeError (as `append_event`).
        """
        return self._appends.append_all(events)

    def copy_entire_run(self, workflow_slug: str, source_run_id: str, target_run_id: str) -> None:
        """Copy a run under a new id, which a caller drives; it shows whole or not at all.

        Interrupted, it is to be repeated; of two who copy into one id the later takes over.

        Raises RunNotFoundError (there is no such source), ConflictError (the target's id is taken, be it by this very
        copy when that was whole), InvalidIdError.
        """
        self._copies.whole(workflow_slug, source_run_id, target_run_id)

    def copy_workflow_events(
        self, workflow_slug: str, source_run_id: str, target_run_id: str, *, exclude_terminal: bool
    ) -> None:
        """Copy a run's workflow events into another run; repeated, nothing is copied twice.

        Raises RunNotFoundError, EngineDrivenError (the target is driven by the engine), ConflictError (a run is being
        copied into this id), InvalidIdError.
        """
        self._copies.workflow_events(workflow_slug, source_run_id, target_run_id, exclude_terminal=exclude_terminal)

    def copy_step_events(
        self, workflow_slug: str, source_run_id: str, target_run_id: str, *, include_step_ids: Iterable[str]
    ) -> None:
        """Copy the events and logs of steps into another run: up to 90 events at once, more in turn.

        Interrupted, it is to be repeated: nothing is copied twice.

        Raises RunNotFoundError, EngineDrivenError (the target is driven by the engine), ConflictError (a run is being
        copied into this id), InvalidIdError.
        """
        self._copies.step_events(workflow_slug, source_run_id, target_run_id, step_ids=include_step_ids)

    def delete_step_events(self, workflow_slug: str, run_id: str, *, step_ids: Iterable[str]) -> None:
        """Forget all that happened to these steps, one after the other.

        Raises RunNotFoundError, EngineDrivenError, InvalidIdError.
        """
        self._copies.delete_steps(workflow_slug, run_id, step_ids=step_ids)

    def delete_workflow_terminal_events(self, workflow_slug: str, run_id: str) -> None:
        """Forget how a run ended, so that it goes on. Raises RunNotFoundError, EngineDrivenError, InvalidIdError."""
        self._copies.delete_terminal(workflow_slug, run_id)
