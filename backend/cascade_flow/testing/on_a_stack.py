"""A deployed stack as the place where a test's runs go: submitted over HTTP, waited for, read back.

The stack's own code runs there, so what only a process can do for its own (fakes, deaths, time) is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from cascade_flow import clock
from cascade_flow.authoring import Workflow
from cascade_flow.errors import BackendUnavailableError, ConfigurationError
from cascade_flow.model.events import parse_event
from cascade_flow.model.states import TERMINAL_RUN_STATUSES
from cascade_flow.testing.places import Line, Story, Wish
from cascade_flow.testing.stage import Plan

_GLANCE_US = 200_000
_PATIENCE_US = 900_000_000
"""How long a run is waited for: as long as an attempt of a function may last."""


class OnAStack:
    """A stack, by a client of its API; `refuse` is told what can't be done there."""

    def __init__(self, client: Any, *, refuse: Callable[[str], object]) -> None:
        self._client = client
        self._refuse = refuse
        self._checked: set[str] = set()
        self._over: dict[str, Story] = {}

    def close(self) -> None:
        self._client.close()

    def may_plan(self, what: str) -> None:
        told = f"{what} is for runs in the test's own process: a deployed stack runs its own code in its own time"
        self._refuse(told)
        raise ConfigurationError(told)

    def know(self, workflow: Workflow) -> None:
        self._check(workflow)

    def children(self, run_id: str, step_id: str) -> list[str]:
        return [child["runId"] for child in self._client.children(run_id, step_id)]

    def submit(self, wish: Wish, plan: Plan) -> str:
        self._check(wish.workflow)
        submitted = self._client.submit(
            wish.workflow.slug,
            input=wish.input,
            delay_s=_seconds(wish.delay_us or None),
            priority=wish.priority,
            timeout_s=_seconds(wish.timeout_us),
            idempotency_key=wish.idempotency_key,
            metadata=wish.metadata,
            tags=wish.tags,
        )
        return str(submitted["runId"])

    def retry(self, run_id: str, plan: Plan, reason: str | None) -> None:
        self._over.pop(run_id, None)
        self._client.retry(run_id, reason)

    def resume(self, run_id: str, workflow: Workflow, plan: Plan) -> str:
        self._check(workflow)
        return str(self._client.resume(run_id)["runId"])

    def rerun(self, run_id: str, workflow: Workflow, plan: Plan, *, from_step: str, input: Any) -> str:
        self._check(workflow)
        return str(self._client.rerun(run_id, from_step, input=input)["runId"])

    def send(self, run_id: str, event: str, data: Any, key: str | None) -> None:
        self._client.send(run_id, event, data, idempotency_key=key)

    def cancel(self, run_id: str, reason: str | None) -> None:
        self._client.cancel(run_id, reason)

    def tick(self, workflow: Workflow, schedule: str, plan: Plan) -> str:
        self.may_plan("tick")
        raise AssertionError("a stack has its own time")

    def settle(self, run_ids: Collection[str]) -> None:
        until_us = clock.now_us() + _PATIENCE_US
        for run_id in run_ids:
            while not self._is_over(run_id):
                if clock.now_us() > until_us:
                    raise BackendUnavailableError(f"run {run_id} has not ended: see `cascade show {run_id}`")
                clock.pause_us(_GLANCE_US)

    def advance_us(self, us: int) -> None:
        self.may_plan("advance")

    def now_us(self) -> int:
        return clock.now_us()

    def story(self, run_id: str) -> Story:
        """What happened; of a run that is over it is read once."""
        if run_id in self._over:
            return self._over[run_id]
        run = self._client.run(run_id, payloads=False)["run"]
        events = [parse_event(each) for each in self._client.events(run_id) if each["type"] != "LogEntry"]
        lines = [Line(each["stepId"], each["attemptNumber"], each["message"]) for each in self._client.logs(run_id)]
        story = Story(events, lines, None, run.get("undoneBy"))
        if run["status"] in TERMINAL_RUN_STATUSES:
            self._over[run_id] = story
        return story

    def _is_over(self, run_id: str) -> bool:
        return self._client.run(run_id, payloads=False)["run"]["status"] in TERMINAL_RUN_STATUSES

    def _check(self, workflow: Workflow) -> None:
        """Raises ConfigurationError where the stack has another version of the workflow than the test."""
        if workflow.slug in self._checked:
            return
        deployed, mine = self._client.workflow(workflow.slug)["versionId"], workflow.definition().version_id
        if deployed != mine:
            raise ConfigurationError(
                f"the stack has another version of {workflow.slug!r} ({deployed}) than this test ({mine}): "
                "deploy it first, with `cascade up` or `cascade deploy`"
            )
        self._checked.add(workflow.slug)


def opened(stack: str | None, *, region: str | None, refuse: Callable[[str], object]) -> OnAStack:
    """A stack in AWS by its name; without one, the stack on this machine. Raises as `local.endpoints`."""
    from cascade_flow.local import elsewhere, endpoints  # noqa: PLC0415  (boto3, where AWS is asked)

    here = Path.cwd()
    place = elsewhere.meant(here, env=None, stack=stack, region=region) if stack else None
    client = endpoints.stack_client(place) if place else endpoints.local_client(here)
    return OnAStack(client, refuse=refuse)


def _seconds(us: int | None) -> float | None:
    return None if us is None else us / 1_000_000
