"""New runs out of old ones: what is kept is copied first and stays invisible until the new run's item is there.

A rerun begins anew at a step, a resumed run at whatever is not completed; both on the workflow's current version, and
driven by the engine, also where a caller drove the old run. The log lines of kept steps stay with the run that wrote
them.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from cascade_flow import clock
from cascade_flow.dynamodb.changes import RunRefused
from cascade_flow.dynamodb.codec import Record
from cascade_flow.dynamodb.registry import Entry
from cascade_flow.engine.copies import Kept, Link, kept_steps, open_copy
from cascade_flow.engine.limits import key_values
from cascade_flow.engine.reuse import reusable_steps
from cascade_flow.engine.runs import Submission
from cascade_flow.engine.state import Facts, Run
from cascade_flow.errors import RunNotRetryableError
from cascade_flow.graph import Graph
from cascade_flow.model.events import WorkflowRerunFromStep, WorkflowResumed
from cascade_flow.model.ids import check_run_id, check_step_id
from cascade_flow.model.states import SubmittedRun
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.history_copier import HistoryCopier, over_in
from cascade_flow.operations.runtime import Runtime, no_run
from cascade_flow.operations.undone_below import undone_below, undone_in
from cascade_flow.operations.validation import check_input
from cascade_flow.records import dataclass, replace
from cascade_flow.serialization import safe_serialize


@dataclass(frozen=True)
class _Parent:
    """The run that is gone on from: as stored, with its records, and the workflow as it is registered now; and what it
    has done that was undone.
    """

    run: Run
    records: Sequence[Record]
    entry: Entry
    graph: Graph
    undone: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Plan:
    """A new run that is still to be made: what it goes on from, which steps it keeps, and what links the two."""

    parent: _Parent
    kept: Kept
    link: type[Link]
    fields: Mapping[str, Any]

    @property
    def version_id(self) -> str:
        return self.parent.entry.version_id

    @property
    def keeps(self) -> list[str]:
        """The steps that stay as they are, in declared order."""
        return [step for step in self.parent.graph.steps if step in self.kept]

    @property
    def runs_again(self) -> list[str]:
        """All other steps of the current version, in declared order."""
        return [step for step in self.parent.graph.steps if step not in self.kept]


class Reruns:
    """Runs that go on from what another run has done."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._copier = HistoryCopier(runtime)
        self._after_commit = AfterCommit(runtime)

    def rerun_from(self, parent_run_id: str, from_step_id: str, input: Any) -> SubmittedRun:
        """A new run in which a step and all that depend on it run again; the other completed steps are kept.

        Raises RunNotFoundError, WorkflowRetiredError, StepNotFoundError (of the current version), InputInvalidError,
        RunNotRetryableError (it is another's child).
        """
        return self.carry_out(self.plan_rerun(parent_run_id, from_step_id), input)

    def resume(self, run_id: str) -> SubmittedRun:
        """A new run that keeps what a failed or cancelled one has completed.

        Raises RunNotFoundError, WorkflowRetiredError, RunNotRetryableError.
        """
        return self.carry_out(self.plan_resume(run_id))

    def plan_rerun(self, parent_run_id: str, from_step_id: str) -> Plan:
        """What `rerun_from` would do. Raises as it does, but for the input."""
        parent = self._parent(parent_run_id)
        again = parent.graph.step(check_step_id(from_step_id)).id
        kept = kept_steps(parent.graph, _over(parent), again=again)
        fields = {
            "parent_run_id": parent.run.run_id,
            "rerun_from_step_id": from_step_id,
            "rerun_step_ids": [step for step in parent.graph.steps if step not in kept],
            "version_id": parent.entry.version_id,
            "parent_version_id": parent.run.version_id,
        }
        return Plan(parent, kept, WorkflowRerunFromStep, fields)

    def plan_resume(self, run_id: str) -> Plan:
        """What `resume` would do. Raises as it does."""
        parent = self._parent(run_id)
        status = parent.run.status
        if status not in ("failed", "cancelled"):
            raise RunNotRetryableError(
                f"run {run_id!r} is {status}: only a failed or cancelled one is resumed", run_id=run_id, status=status
            )
        kept = kept_steps(parent.graph, _over(parent))
        if len(kept) == len(parent.graph.steps):
            over = f"all steps of run {run_id!r} are over: retry it, or rerun it from a step"
            raise RunNotRetryableError(over, run_id=run_id, status=status)
        fields = {
            "version_id": parent.entry.version_id,
            "original_run_id": run_id,
            "resumed_steps": len(kept),
            "pending_steps": len(parent.graph.steps) - len(kept),
        }
        return Plan(parent, kept, WorkflowResumed, fields)

    def carry_out(self, plan: Plan, input: Any = None) -> SubmittedRun:
        """The new run. Raises InputInvalidError where the input doesn't fit the current version."""
        return self._submit(plan.parent, plan.kept, plan.link, plan.fields, input)

    def _parent(self, run_id: str) -> _Parent:
        history = self._runtime.ledger.history(check_run_id(run_id))
        if history is None or history.run.status == "reserved":
            raise no_run(run_id)
        self._runtime.nobodys_child(history.run, RunNotRetryableError)
        if history.run.undoing is not None:
            undone = history.run.undoing.run_id
            raise RunNotRetryableError(
                f"run {run_id!r} undoes run {undone!r}, so none goes on from it: retry it where it has failed, "
                f"or rerun run {undone!r}",
                run_id=run_id,
                status=history.run.status,
            )
        entry = self._runtime.registry.for_new_runs(history.run.workflow_slug)
        graph = self._runtime.registry.graph(history.run.workflow_slug, entry.version_id)
        return _Parent(history.run, history.records, entry, graph, undone_in(self._runtime, history.run))

    def _submit(
        self, parent: _Parent, kept: Kept, link: type[Link], fields: Mapping[str, Any], input: Any
    ) -> SubmittedRun:
        order = self._order(parent, input)
        facts = self._facts(parent, order)
        newest_us = self._copier.copy(parent.run.run_id, parent.records, facts, kept)
        references = self._runtime.payloads.put_input(facts.run_id, order.input, expires_s=facts.expires_s)
        opening = open_copy(facts, order, parent.run, link, fields, now_us=clock.now_us(), after_us=newest_us)
        opening = replace(opening, run=replace(opening.run, renewed=self._renewed(parent, facts.run_id)))
        run = self._runtime.run_ledger.submit(facts, opening, references, key=None, content="")
        self._runtime.observer.committed(opening.events)
        with suppress(
            RunRefused
        ):  # a sweep makes the branches, or the run is stopped already: it is there all the same
            self._after_commit.make_owed_roots(self._runtime.facts(run), run)
        return SubmittedRun(run_id=run.run_id, is_new=True)

    def _renewed(self, parent: _Parent, run_id: str) -> Mapping[str, str]:
        """Whose effects those of each step are that was undone some time: it does them anew, under other keys."""
        below = undone_below(self._runtime, parent.run, run_id)
        return {**parent.run.renewed, **below, **dict.fromkeys(parent.undone, run_id)}

    def _order(self, parent: _Parent, input: Any) -> Submission:
        submitted = self._runtime.payloads.whole(parent.run.run_id, parent.run.tail[:1])[0]
        text = submitted.get("input") if input is None else safe_serialize(input)
        check_input(parent.entry.metadata.input_schema_json, text)
        return Submission(
            version_id=parent.entry.version_id,
            available_at_us=clock.now_us(),
            has_input_schema=parent.entry.metadata.input_schema_json is not None,
            input=text,
            priority=parent.run.priority,
            timeout_us=submitted.get("timeoutUs"),
            metadata=submitted.get("metadata"),
            tags=parent.run.tags or None,
        )

    def _facts(self, parent: _Parent, order: Submission) -> Facts:
        timeout_us = parent.entry.timeout_us or self._runtime.timing.timeout_us
        timing = replace(self._runtime.timing, timeout_us=timeout_us)
        expires_us = order.available_at_us + (order.timeout_us or timeout_us) + timing.retention_us
        return Facts(
            run_id=secrets.token_hex(8),
            workflow_slug=parent.run.workflow_slug,
            graph=parent.graph,
            expires_s=expires_us // 1_000_000,
            timing=timing,
            priority=order.priority,
            limit_keys=key_values(parent.graph.declared.values(), order.input),
        )


def _over(parent: _Parent) -> Kept:
    """The steps that are over and that a new run may keep."""
    by_caller = parent.run.driver == "caller"
    orderly = reusable_steps(parent.graph, parent.records, by_caller=by_caller, now_us=clock.now_us())
    there = orderly - parent.undone
    return {step: origin for step, origin in over_in(parent.records).items() if step in there}
