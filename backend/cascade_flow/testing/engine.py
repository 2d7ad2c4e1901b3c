"""`Engine`, what a test speaks to: runs workflows, plans what befalls them, lets time pass, and shows what has come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self, TypedDict, Unpack

from cascade_flow.authoring import Workflow
from cascade_flow.authoring.steps import Reference
from cascade_flow.model.states import TERMINAL_RUN_STATUSES, RunStatus
from cascade_flow.serialization import safe_serialize
from cascade_flow.testing import fakes
from cascade_flow.testing.fakes import Fakes
from cascade_flow.testing.inputs import plain_input
from cascade_flow.testing.inside import Spot, spot_meant
from cascade_flow.testing.many import SubmitsMany
from cascade_flow.testing.mishaps import Mishap, When, left_over
from cascade_flow.testing.places import Place, Wish
from cascade_flow.testing.results import Result, UnexpectedEnd
from cascade_flow.testing.skipping import Span, span_us
from cascade_flow.testing.stage import Plan
from cascade_flow.worker.interrupt import Cause

_US = 1_000_000
_UNNAMED = Spot("")


class Options(TypedDict, total=False):
    """What else a submission says."""

    delay: Span
    timeout: Span | None
    priority: int | None
    idempotency_key: str | None
    metadata: Mapping[str, Any] | None
    tags: Sequence[str] | None


class Engine(SubmitsMany):
    """Runs workflows for tests: in this process, with time skipped, unless it is given another place.

        with Engine() as engine:
            assert engine.run(orders, {"item": "tea"}).output == {"ship": "tea is on its way"}

    `fake` says by step what stands in for its code: a value that it returns, an error that it raises, a function of the
    step's own parameters, or `in_turn(...)` of these. All else is real: types, retries, skips, checkpoints, logs.
    """

    def __init__(self, place: Place | None = None) -> None:
        from cascade_flow.testing.in_process import InProcess  # noqa: PLC0415  (a stack needs nothing of it)

        self._place: Place = place or InProcess()
        self._known: dict[str, Workflow] = {}
        self._planned: list[tuple[Reference, Mishap]] = []
        self._unsent: list[tuple[Reference, Any, str | None]] = []
        self._plans: dict[str, Plan] = {}
        self._results: dict[str, Result] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._place.close()

    def know(self, *workflows: Workflow) -> Self:
        """Make workflows known that others run as sub-workflows. One that was given to `run(...)` itself is known."""
        for workflow in workflows:
            if self._known.get(workflow.slug) is not workflow:
                self._known[workflow.slug] = workflow
                self._place.know(workflow)
                self.know(*workflow.runs())
        return self

    def run(
        self,
        workflow: Workflow,
        input: Any = None,
        *,
        fake: Fakes | None = None,
        expect: RunStatus | None = None,
        **options: Unpack[Options],
    ) -> Result:
        """Submit a run and let it go to its end; `options` are those of `submit`.

        With `expect` another end raises UnexpectedEnd, with the failed step's traceback.
        """
        __tracebackhide__ = True
        return self._finished(self.submit(workflow, input, fake=fake, **options), expect)

    def submit(
        self,
        workflow: Workflow,
        input: Any = None,
        *,
        fake: Fakes | None = None,
        delay: Span = 0,
        timeout: Span | None = None,
        priority: int | None = None,
        idempotency_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] | None = None,
    ) -> Result:
        """Submit a run, and let nothing of it happen yet: `run_until_idle` or `advance` does.

        Raises InputInvalidError, naming the fields, and all else that a submission does.
        """
        plan = self._plan(workflow, {}, fake)
        wish = Wish(
            workflow=workflow,
            input=plain_input(workflow, input),
            delay_us=span_us(delay, "delay"),
            timeout_us=None if timeout is None else span_us(timeout, "timeout"),
            priority=priority,
            idempotency_key=idempotency_key,
            metadata=None if metadata is None else dict(metadata),
            tags=None if tags is None else list(tags),
        )
        return self._begun(workflow, self._place.submit(wish, plan), plan)

    def run_until_idle(self) -> None:
        """Let time pass until every run has ended."""
        self._settle([run_id for run_id, result in self._results.items() if not _is_over(result)])

    def advance(self, span: Span) -> None:
        """Let this much time pass, and all happen that is due meanwhile: `advance("1h")`."""
        self._place.may_plan("advance")
        self._place.advance_us(span_us(span, "the time to pass"))

    def tick(
        self, workflow: Workflow, schedule: str, *, fake: Fakes | None = None, expect: RunStatus | None = None
    ) -> Result:
        """Let time pass until a schedule's next time, and the run that begins then go to its end.

        Raises ScheduleNotFoundError where the workflow declares none such.
        """
        __tracebackhide__ = True
        self._place.may_plan("tick")
        plan = self._plan(workflow, {}, fake)
        return self._finished(self._begun(workflow, self._place.tick(workflow, schedule, plan), plan), expect)

    @property
    def now(self) -> datetime:
        """The engine's time, in UTC."""
        return datetime.fromtimestamp(self._place.now_us() / _US, UTC)

    def kill(
        self, step: Reference, *, attempt: int = 1, when: When = "report", after_checkpoint: str | None = None
    ) -> Self:
        """Let the worker die in an attempt of the next run: before the step's code (`when="start"`), after it and
        before its result is reported, or as soon as a checkpoint is stored. Its lease runs out, and another takes over.
        """
        self._place.may_plan("kill")
        self._planned.append((step, Mishap(_UNNAMED, attempt, Cause.LOST, when, after_checkpoint)))
        return self

    def time_out(self, step: Reference, *, attempt: int = 1) -> Self:
        """Let an attempt of the next run take longer than it may, without waiting for it; its code isn't called."""
        self._place.may_plan("time_out")
        self._planned.append((step, Mishap(_UNNAMED, attempt, Cause.TIMEOUT, "start")))
        return self

    def send(self, event: Reference, data: Any = None, *, to: Result | None = None, key: str | None = None) -> Self:
        """Send an event from outside, such as an approval: to this run; without `to`, to the newest one if that has
        not ended, and else to the next, as soon as it is submitted. The first that is sent counts; `key` is the
        sender's own for it.

        Raises EventClosedError, InputInvalidError, and all else that `send_event` does.
        """
        newest = next(reversed(self._results.values()), None)
        meant = to or (newest if newest is not None and not _is_over(newest) else None)
        if meant is None:
            self._unsent.append((event, data, key))
        else:
            self._send(meant, event, data, key)
        return self

    def _send(self, to: Result, event: Reference, data: Any, key: str | None) -> None:
        name = fakes.step_meant(to.workflow, event)
        self._place.send(to.run_id, name, json.loads(safe_serialize(data)), key)

    def retry(
        self, result: Result, *, reason: str | None = None, fake: Fakes | None = None, expect: RunStatus | None = None
    ) -> Result:
        """Try a failed or cancelled run again, to its end. What was faked stays so, but for what `fake` says anew."""
        plan = self._plan(result.workflow, self._plans[result.run_id].fakes, fake)
        self._place.retry(result.run_id, plan, reason)
        return self._finished(self._begun(result.workflow, result.run_id, plan), expect)

    def resume(
        self,
        result: Result,
        *,
        workflow: Workflow | None = None,
        fake: Fakes | None = None,
        expect: RunStatus | None = None,
    ) -> Result:
        """A new run, to its end, that keeps what a failed or cancelled one has completed; of another `workflow` under
        the same slug, if its code was mended. Fakes as in `retry`.
        """
        flow = workflow or result.workflow
        plan = self._plan(flow, self._plans[result.run_id].fakes, fake)
        return self._finished(self._begun(flow, self._place.resume(result.run_id, flow, plan), plan), expect)

    def rerun(
        self,
        result: Result,
        *,
        from_step: Reference,
        input: Any = None,
        workflow: Workflow | None = None,
        fake: Fakes | None = None,
        expect: RunStatus | None = None,
    ) -> Result:
        """A new run, to its end, in which this step and all that depend on it run again; else as `resume`."""
        flow = workflow or result.workflow
        plan = self._plan(flow, self._plans[result.run_id].fakes, fake)
        step, given = fakes.step_meant(flow, from_step), plain_input(flow, input)
        run_id = self._place.rerun(result.run_id, flow, plan, from_step=step, input=given)
        return self._finished(self._begun(flow, run_id, plan), expect)

    def cancel(self, result: Result, reason: str | None = None) -> Result:
        """Stop a run that was submitted."""
        self._place.cancel(result.run_id, reason)
        self._settle([result.run_id])
        return result

    def _submitted(self, workflow: Workflow, run: Mapping[str, Any]) -> Result:
        return self.submit(workflow, **run)

    def _plan(self, workflow: Workflow, before: Mapping[Spot, Any], fake: Fakes | None) -> Plan:
        """How the next run is to be played; what was planned is its, whether it can be begun or not."""
        planned, self._planned = self._planned, []
        self.know(*workflow.runs())
        if fake:
            self._place.may_plan("fake=")
        mishaps = [replace(mishap, spot=spot_meant(workflow, step, self._known)[0]) for step, mishap in planned]
        steps = workflow.definition().codes
        kept = {spot: each for spot, each in before.items() if any(spot.is_within(step) for step in steps)}
        return Plan({**kept, **fakes.by_spot(workflow, fake or {}, self._known)}, mishaps)

    def _begun(self, workflow: Workflow, run_id: str, plan: Plan) -> Result:
        self._plans[run_id] = plan
        self._results[run_id] = result = Result(self._place, workflow, run_id, self._known)
        unsent, self._unsent = self._unsent, []
        for event, data, key in unsent:
            self._send(result, event, data, key)
        return result

    def _finished(self, result: Result, expect: RunStatus | None) -> Result:
        __tracebackhide__ = True
        self._settle([result.run_id])
        if expect is not None:
            result.check(expect)
        return result

    def _settle(self, run_ids: Sequence[str]) -> None:
        __tracebackhide__ = True
        self._place.settle(run_ids)
        self._place.settle([undo for run_id in run_ids if (undo := self._place.story(run_id).undone_by) is not None])
        for run_id in run_ids:
            if missed := left_over(self._plans[run_id].mishaps):
                raise UnexpectedEnd(f"{self._results[run_id]!r} has ended, and this has not come: {missed}")


def _is_over(result: Result) -> bool:
    return result.status in TERMINAL_RUN_STATUSES
