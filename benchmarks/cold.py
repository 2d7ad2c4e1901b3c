"""What a cold start costs: the processor time of a fresh process that imports a function and answers one call.

Each beside `boto3.client("dynamodb")` alone, in turn, so that a busy machine is as busy for both: the ratio is what
holds. The table is in another process, whose time is not counted; bytecode is compiled before, as in the layer.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import events
from cascade_flow import DynamoDBBackend, EventDefinition, RunSubmission, StepDefinition, WorkflowRegistration, clock
from cascade_flow.dynamodb import schema
from cascade_flow.engine.commands import Complete
from cascade_flow.engine.state import Claimant
from cascade_flow.operations.callbacks import Callbacks
from cascade_flow.operations.steps import HeldAttempt, Steps
from cascade_flow.operations.sweep import Sweep
from cascade_flow.seal import Seal
from cascade_flow.wake import Wake
from events.deployed import FUNCTIONS
from testbed.emulators import MiniStackHttp
from testbed.servers import CREDENTIAL, REGION, Store, connect, fresh_table

TIMES = 7
STEPS = 200
_HOT = frozenset({"worker", "claim", "heartbeat"})
HOT, OTHERS = 1.3, 1.6
"""What is allowed, in multiples of boto3's; issue 15 wants 1.0 and 1.2."""

_BASELINE = "import boto3; boto3.client('dynamodb')"
_CALL = """
import json, sys
from types import SimpleNamespace
import app
told = app.handler(json.loads(sys.argv[1]), SimpleNamespace(function_name="cold", memory_limit_in_mb=256,
    invoked_function_arn="arn:cold", aws_request_id="cold", get_remaining_time_in_millis=lambda: 60_000))
assert told.get("statusCode", 200) < 300 and not told.get("batchItemFailures"), told
"""
_SPENT = "\nimport resource\nspent = resource.getrusage(resource.RUSAGE_SELF)\nprint(spent.ru_utime + spent.ru_stime)"
_WORKFLOWS = """
from cascade_flow import Workflow
cold = Workflow("cold", name="Cold")
@cold.step
def first() -> int:
    return 1
"""
_REQUESTS: Mapping[str, events.Event] = {
    "reaper": {},
    "registration": {},
    "submission": events.post("/runs", {"workflowSlug": "cold"}),
    "analytics": events.get("/analytics/summary"),
    "control": events.put("/workflows/cold-too", {"name": "Cold, too", "steps": [{"stepId": "first"}]}),
    "service": events.get("/version"),
}
"""First calls that need no run of their own."""


@dataclass(frozen=True)
class Cold:
    """A function's processor time, in multiples of boto3's alone, and what is allowed of that."""

    name: str
    ratio: float
    budget: float

    @property
    def is_exceeded(self) -> bool:
        return self.ratio > self.budget


@dataclass
class Wakes:
    """A queue that only remembers."""

    sent: list[Wake] = field(default_factory=list)
    seal = Seal(lambda: b"of a table")

    def send(self, wakes: Sequence[Wake]) -> None:
        self.sent += wakes


@dataclass(frozen=True)
class Stage:
    """A table behind a socket, a backend of this process on it, and fresh processes that hold a function each."""

    store: Store
    backend: DynamoDBBackend
    wakes: Wakes
    environment: Mapping[str, str]

    def waked(self, slug: str) -> Wake:
        """The wake-up for the first step of a new run."""
        run_id = self.backend.submit_run(RunSubmission(workflow_slug=slug)).run_id
        while not self.wakes.sent[-1].step:
            Sweep(self.backend.runtime, name="bench").attend(run_id, self.wakes.sent[-1].branch)
        return self.wakes.sent[-1]

    def event(self, function: str) -> events.Event:
        """A first call of a function, on a run of its own."""
        if function in _REQUESTS:
            return _REQUESTS[function]
        if function == "callbacks":
            return self._call_from_outside()
        wake = self.waked("cold")
        if function == "worker":
            return events.messages([wake.to_message()])
        if function == "query":
            return events.get(f"/runs/{wake.run_id}")
        if function == "diagnosis":
            return events.get(f"/runs/{wake.run_id}/diagnosis")
        if function == "claim":
            return events.post("/steps/claim", {"workerId": "w", "runId": wake.run_id, "stepId": wake.step})
        Steps(self.backend.runtime).claim(wake, "w")
        return events.post(f"/runs/{wake.run_id}/steps/{wake.step}/heartbeat", {"workerId": "w", "attemptNumber": 1})

    def _call_from_outside(self) -> events.Event:
        """A look at an address that a step gave away."""
        asked = StepDefinition(id="asked", name="asked", event=EventDefinition())
        self.backend.register_workflow(WorkflowRegistration(slug="asks", name="Asks", steps=[asked]))
        run_id = self.backend.submit_run(RunSubmission(workflow_slug="asks")).run_id
        runtime = replace(self.backend.runtime, callbacks_url="https://calls.example")
        path = urlsplit(Callbacks(runtime).address(runtime.facts(runtime.run(run_id)), "asked")).path
        route = {"routeKey": "GET /callbacks/{runId}/{secret}"}
        return {**events.get(path), **route, "pathParameters": {"runId": run_id, "secret": path.rpartition("/")[2]}}

    def cpu_s(self, code: str, folder: Path, event: events.Event | None = None) -> float:
        """The processor time of a fresh process, from its beginning to its end."""
        command = [sys.executable, "-c", code + _SPENT, json.dumps(event or {})]
        ended = subprocess.run(command, cwd=folder, env=self.environment, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise RuntimeError(f"{folder.name}: {ended.stderr}")
        return float(ended.stdout.split()[-1])


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage with the workflow `cold` registered, and everything that its processes import compiled."""
    server = MiniStackHttp()
    server.start()
    try:
        with fresh_table(server, schema.create_table) as store, tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "coldflows.py").write_text(_WORKFLOWS, encoding="utf-8")
            wakes = Wakes()
            backend = DynamoDBBackend(store.table, client=server.lean_client(), queue=wakes)
            made = Stage(store, backend, wakes, _environment(store, folder))
            made.cpu_s(_CALL, FUNCTIONS / "registration")
            yield made
    finally:
        server.stop()


def _environment(store: Store, folder: str) -> dict[str, str]:
    return {
        "PYTHONPATH": os.pathsep.join([str(FUNCTIONS.parent / "backend"), folder]),
        "PYTHONPYCACHEPREFIX": f"{folder}/compiled",
        "AWS_ENDPOINT_URL": str(store.server.endpoint_url),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": CREDENTIAL,
        "AWS_SECRET_ACCESS_KEY": CREDENTIAL,
        "AWS_CONFIG_FILE": f"{folder}/none",
        "CASCADE_TABLE": store.table,
        "CASCADE_WORKFLOWS": "coldflows",
    }


def cold_starts(times: int = TIMES) -> list[Cold]:
    """Every function's import and first call."""
    names = sorted(path.parent.name for path in FUNCTIONS.glob("*/app.py"))
    budgets = {name: HOT if name in _HOT else OTHERS for name in names}
    spent: dict[str, list[float]] = {name: [] for name in ("", *budgets)}
    with stage() as made:
        for _ in range(times + 1):  # the first one compiles
            spent[""].append(made.cpu_s(_BASELINE, FUNCTIONS))
            for name in budgets:
                spent[name].append(made.cpu_s(_CALL, FUNCTIONS / name, made.event(name)))
    known = {name: min(each[1:]) for name, each in spent.items()}  # whatever disturbs a process only adds
    return [Cold(name, known[name] / known[""], budget) for name, budget in budgets.items()]


def chained_step(steps: int = STEPS) -> Cold:
    """A step that follows another in one worker, beside one conditional update by boto3 on the same server."""
    with stage() as made:
        chain = [StepDefinition(id=f"s{n}", name="s", dependencies=[f"s{n - 1}"] if n else []) for n in range(steps)]
        made.backend.register_workflow(WorkflowRegistration(slug="long", name="Long", steps=chain))
        engine = Steps(made.backend.runtime)
        held: HeldAttempt | None = engine.claim(made.waked("long"), "bench")
        update = conditional_update(made.store)
        update()
        ours, theirs = [], []
        while held is not None and held.running:
            theirs.append(_timed(update)[0])
            spent, held = _timed(partial(_completed, engine, held))
            ours.append(spent)
    return Cold("a chained step, beside boto3's update", median(ours) / median(theirs), 1.0)


def _completed(engine: Steps, held: HeldAttempt) -> HeldAttempt:
    claimant = Claimant("bench", clock.now_us() + 60_000_000)
    return engine.report(held, Complete("null", 1, None, claimant))


def conditional_update(store: Store) -> Callable[[], Any]:
    """What any engine needs for a step at the least, by boto3."""
    client = connect("dynamodb", store.server.endpoint_url)
    return partial(
        client.update_item,
        TableName=store.table,
        Key={"pk": {"S": "bench"}, "sk": {"S": "bench"}},
        UpdateExpression="SET #a = :a, #b = :b",
        ConditionExpression="attribute_not_exists(#c)",
        ExpressionAttributeNames={"#a": "a", "#b": "b", "#c": "c"},
        ExpressionAttributeValues={":a": {"B": b"x" * 500}, ":b": {"N": "7"}},
        ReturnValues="ALL_NEW",
    )


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """The processor time of a call in this process, and what it answers."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    answer = call()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, answer
