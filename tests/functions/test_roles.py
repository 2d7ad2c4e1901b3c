"""Each function does all that it does under its own role, and a role allows nothing that its function doesn't do."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

import events
from cascade_flow import (
    DynamoDBBackend,
    EventDefinition,
    RunSubmission,
    StepDefinition,
    WorkflowRegistration,
    clock,
)
from cascade_flow.api import representations, resources
from cascade_flow.dead_letters import SqsDeadLetters
from cascade_flow.dynamodb.secret import seal_of
from cascade_flow.dynamodb.table import Table
from cascade_flow.errors import CascadeFlowError
from cascade_flow.model.ids import child_id
from cascade_flow.offload import Bucket
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.callbacks import Callbacks
from cascade_flow.operations.registry import Registry
from cascade_flow.testing.memory.bucket_client import BucketClient
from cascade_flow.wake import SqsQueue, Wake
from contract.called import Called
from events.deployed import Functions, Reply, app
from functions.conftest import TIMING
from infra.written import of_type, statements
from testbed.roles import Grant, Guard, granted
from testbed.servers import Store
from testbed.wire import Floor, wire_of

pytestmark = pytest.mark.servers("ministack")

BY_LAMBDA = {
    Grant(f"sqs:{action}", queue)
    for queue in ("Queue", "UrgentQueue")
    for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "ChangeMessageVisibility")
}
"""What Lambda does in the worker's name, before and after it is called:
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""

BESIDE = {Grant("lambda:InvokeFunction", "ReaperFunction")}
"""What goes by another client than those here: test_background sees whom the reaper calls."""


def roles() -> Mapping[str, set[Grant]]:
    """What each function's own code may do."""
    names = sorted(name.removesuffix("Role") for name in of_type("AWS::IAM::Role"))
    return {name.lower(): granted(statements(f"{name}Role")) - BY_LAMBDA - BESIDE for name in names}


GRANTS = [(name, grant) for name, grants in roles().items() for grant in sorted(grants)]


@dataclass
class Stage:
    """The functions under their roles, with a bucket; what is done outside of them is done by nobody."""

    functions: Functions
    guard: Guard
    bucket: BucketClient

    def http(self, name: str, route: str, event: events.Event) -> Reply:
        with self.guard.acting(name, route):
            return self.functions.http(name, event)

    def submit(self, text: str, *, workflow: str = "heavy", **more: object) -> str:
        body = {"workflowSlug": workflow, "input": {"text": text}, **more}
        return str(self.http("submission", "POST /runs", events.post("/runs", body)).json["runId"])

    def work(self) -> None:
        with self.guard.acting("worker", "wake-up"):
            self.functions.work()

    def reap(self, *, after_us: int = 31_000_000) -> None:
        with self.guard.acting("reaper", "sweep"), clock.use(clock.SteppingClock(clock.now_us() + after_us)):
            app("reaper").handler(events.load("scheduler"), events.Context())

    def claim(self, run_id: str, step: str, **more: object) -> None:
        wish = {"workerId": "mila", "runId": run_id, "stepId": step, **more}
        reply = self.http("claim", f"POST /steps/claim of {step}", events.post("/steps/claim", wish))
        assert reply.status == 200, step

    def say(self, run_id: str, step: str, what: str, **told: object) -> Reply:
        body = {"workerId": "mila", "attemptNumber": 1, **told}
        return self.http(
            "heartbeat", f"POST {what} of {step}", events.post(f"/runs/{run_id}/steps/{step}/{what}", body)
        )

    def complete(self, run_id: str, step: str, output: object) -> None:
        self.functions.backend.save_step_complete("wide", run_id, step, output, duration_us=1, attempt_number=1)


def large(seed: int) -> str:
    """What goes to the bucket."""
    return random.Random(seed).randbytes(60_000).hex()


def medium(seed: int) -> str:
    """What is an item of its own."""
    return large(seed)[:8_000]


@contextmanager
def dying(method: str) -> Iterator[None]:
    """Who has committed dies before this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AfterCommit, method, lambda _, facts, subject, *more: subject)
        yield


def commands(stage: Stage) -> None:
    keyed = {"idempotencyKey": "k"}
    first = stage.submit(large(9), **keyed)
    assert stage.submit(large(9), **keyed) == first
    route = "POST /runs/{runId}/cancel"
    assert stage.http("submission", route, events.post(f"/runs/{first}/cancel")).status == 200
    many = {"runs": [{"workflowSlug": "heavy", "input": {"text": large(n)}, "runId": f"of-{n}"} for n in range(3)]}
    assert (
        stage.http("submission", "POST /runs/batch", events.post("/runs/batch", many)).json["counts"]["submitted"] == 3
    )
    for n in range(3):
        assert stage.http("submission", route, events.post(f"/runs/of-{n}/cancel")).status == 200
    aside = stage.submit(medium(9))
    assert stage.http("submission", route, events.post(f"/runs/{aside}/cancel")).status == 200
    told = of_a_caller(stage)
    assert stage.http("submission", f"{route} of a caller's", events.post(f"/runs/{told}/cancel")).status == 200
    run_id = stage.submit(medium(7))
    stage.claim(run_id, "load")
    assert stage.say(run_id, "load", "checkpoint", name="half", data=1).status == 200
    assert stage.say(run_id, "load", "release").status == 200
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(representations, "CHECKPOINTS_BYTES", 0)
        stage.claim(run_id, "load")
    assert stage.say(run_id, "load", "release", attemptNumber=2).status == 200
    assert stage.http("submission", route, events.post(f"/runs/{run_id}/cancel")).status == 200
    lost = stage.submit(large(8))
    stage.bucket.objects.clear()
    assert stage.http("submission", route, events.post(f"/runs/{lost}/cancel")).status in (200, 410)
    stage.functions.lose_messages()


def questions(stage: Stage) -> None:
    run_id = stage.submit(large(9))
    stage.work()
    lists = ("/runs", "/runs?workflow=heavy&status=completed", "/workflows", "/workflows/heavy/versions")
    for target in (*lists, "/workflows/heavy"):
        assert stage.http("query", f"GET {target}", events.get(target)).status == 200
    for part in ("", "/events", "/logs", "/events?step=left", "/logs?step=load&attempt=1", "/steps", "/steps/load"):
        route, target = f"GET /runs/{{runId}}{part}", f"/runs/{run_id}{part}"
        assert stage.http("query", route, events.get(target)).status == 200
    told = of_a_caller(stage)
    assert stage.http("query", "GET a caller's run", events.get(f"/runs/{told}")).status == 200
    stage.bucket.objects.clear()
    assert stage.http("query", "GET a lost payload", events.get(f"/runs/{run_id}")).status in (200, 410)


def diagnoses(stage: Stage) -> None:
    run_id = stage.submit(large(9))
    stage.functions.lose_messages()
    late = clock.SteppingClock(clock.now_us() + 40_000_000)
    with clock.use(late):
        found = stage.http("diagnosis", "GET /diagnosis", events.get("/diagnosis"))
    codes = {run["runId"]: run["findings"][0]["code"] for run in found.json["runs"]}
    assert codes[run_id] == "wake-up-lost"
    route = "GET /runs/{runId}/diagnosis"
    assert stage.http("diagnosis", route, events.get(f"/runs/{run_id}/diagnosis")).status == 200
    planned = stage.http("diagnosis", "POST /preflight", events.post("/preflight", {"workflows": []}))
    assert run_id in {run["runId"] for run in planned.json["broken"]}
    cancelled = events.post(f"/runs/{run_id}/cancel")
    assert stage.http("submission", "POST /runs/{runId}/cancel", cancelled).status == 200


def of_a_caller(stage: Stage) -> str:
    """A run that somebody else drives, with a live step."""
    run = Called.new(stage.functions.backend, run_id=f"told-{secrets.token_hex(4)}")
    run.schedule("a")
    return run.run_id


def looking_after(stage: Stage) -> None:
    """What is done by who looks after runs."""

    def command(route: str, target: str, **body: object) -> Reply:
        return stage.http("control", f"POST {route}", events.post(target, body))

    failed = stage.submit(medium(5), timeoutUs=1_000_000)
    stage.functions.lose_messages()
    stage.reap()
    assert command("resume", f"/runs/{failed}/resume").status == 201
    assert command("retry", f"/runs/{failed}/retry").status == 200
    done = stage.submit(large(9))
    stage.work()
    wish = {"fromStepId": "stow", "input": {"text": large(6)}}
    assert command("rerun", f"/runs/{done}/rerun", **wish).status == 201
    assert stage.http("query", "GET rerun", events.get(f"/runs/{done}/rerun?fromStepId=stow")).status == 200
    assert command("cancel many", "/runs/cancel", workflowSlug="heavy").status == 200
    assert command("retry many", "/runs/retry", status=["cancelled"]).status == 200
    assert command("cancel many", "/runs/cancel", status=["running"]).status == 200
    document = {"name": "Letters", "steps": [{"stepId": "write"}]}
    for _ in range(2):
        assert stage.http("control", "PUT", events.put("/workflows/letters", document)).status == 200
    lost = stage.submit(large(8))
    stage.work()
    stage.bucket.objects.clear()
    assert command("rerun of what is lost", f"/runs/{lost}/rerun", fromStepId="stow").status in (201, 410)
    stage.functions.lose_messages()


def reports(stage: Stage) -> None:
    stage.submit("fine")
    stage.work()
    runtime = resources.runtime()
    with resources.use(replace(runtime, registry=Registry(runtime.ledger.table))):  # a process that knows no graph yet
        for target in ("/analytics/summary", "/analytics/queue-depth-by-workflow", "/workers?includeInactive=true"):
            assert stage.http("analytics", f"GET {target}", events.get(target)).status == 200


def service(stage: Stage) -> None:
    stage.functions.sqs.send_message(QueueUrl=f"{stage.functions.queue_url}-dead", MessageBody="dead")
    for target in ("/health", "/version", "/dead-letters"):
        assert stage.http("service", f"GET {target}", events.get(target)).status == 200
    target = "/dead-letters/redrive"
    assert stage.http("service", f"POST {target}", events.post(target, {})).json["count"] == 1
    stage.functions.lose_messages()


def claims(stage: Stage) -> None:
    run_id = stage.submit(large(9))
    wish = {"workerId": "mila", "workflowSlug": "heavy"}
    assert stage.http("claim", "POST /steps/claim", events.post("/steps/claim", wish)).status == 200
    beat = {"workerId": "mila", "attemptNumber": 1}
    place = f"/runs/{run_id}/steps/load/heartbeat"
    assert stage.http("heartbeat", "POST heartbeat", events.post(place, beat)).status == 200
    run_id = stage.submit(medium(9), workflow="wide")
    stage.claim(run_id, "begin")
    with dying("make_owed"):
        stage.complete(run_id, "begin", 1)
    for number in range(24):
        stage.claim(run_id, f"part_{number}")
        assert stage.say(run_id, f"part_{number}", "complete", output=1).status == 200
    stage.claim(run_id, "count")
    stage.functions.lose_messages()
    lost = stage.submit(large(8))
    stage.bucket.objects.clear()
    wish = {"workerId": "mila", "runId": lost, "stepId": "load"}
    assert (
        stage.http(
            "claim", "POST /steps/claim of a lost payload, which is named", events.post("/steps/claim", wish)
        ).status
        == 200
    )
    stage.functions.lose_messages()


def reports_of_workers(stage: Stage) -> None:
    run_id = stage.submit(large(9))
    stage.claim(run_id, "load")
    for what, told in (
        ("logs", {"lines": [{"message": "loading"}]}),
        ("checkpoint", {"name": "half", "data": medium(1)}),
        ("complete", {"output": large(1), "claimNext": True}),
    ):
        assert [stage.say(run_id, "load", what, **told).status for _ in range(2)] == [200, 200]
    assert stage.say(run_id, "stow", "complete", output=large(2)).status == 200
    for step in ("left", "right"):
        stage.claim(run_id, step)
        assert stage.say(run_id, step, "complete", output=large(3)).status == 200
    for what, told in (("fail", {"error": {"message": "no crane"}, "retryable": False}), ("release", {})):
        run_id = stage.submit(medium(9))
        stage.claim(run_id, "load")
        assert stage.say(run_id, "load", what, **told).status == 200
    run_id = stage.submit(medium(9), workflow="wide")
    stage.claim(run_id, "begin")
    assert stage.say(run_id, "begin", "skip", reason="nothing to count").status == 200
    run_id = stage.submit(medium(9))
    for step in ("load", "stow", "left"):
        stage.claim(run_id, step)
        assert stage.say(run_id, step, "complete", output=large(4)).status == 200
    stage.claim(run_id, "right")
    stage.bucket.objects.clear()
    assert stage.say(run_id, "right", "complete", output=large(5)).status in (200, 410)
    stage.functions.lose_messages()


def work(stage: Stage) -> None:
    stage.submit(large(9))
    stage.submit("broken")
    stage.submit(medium(9), workflow="wide")
    stage.submit(large(9), availableAtUs=clock.now_us() + 10)
    stage.work()
    stage.submit(large(7))
    stage.bucket.objects.clear()
    stage.work()


def sweeps(stage: Stage) -> None:
    stage.submit(large(9))
    stage.submit(medium(9), workflow="wide")
    stage.functions.lose_messages()
    stage.reap()
    with dying("look_at_join"):
        stage.work()
    stage.reap()
    run_id = stage.submit(large(9))
    stage.functions.lose_messages()
    wish = {"workerId": "mila", "runId": run_id, "stepId": "load"}
    stage.http("claim", "POST /steps/claim", events.post("/steps/claim", wish))
    stage.reap(after_us=70_000_000)
    stage.submit(large(9), timeoutUs=1_000_000)
    stage.functions.lose_messages()
    stage.reap()
    stage.submit(large(9))
    with dying("look_at_join"):
        stage.work()
    stage.bucket.objects.clear()
    stage.reap()


def limits(stage: Stage) -> None:
    """Whoever comes when a place is free lets those have it that wait, and takes them out of the line."""
    expired_us = 2 * (TIMING.lease_us + TIMING.grace_us)

    def later(rounds: int) -> AbstractContextManager[object]:
        return clock.use(clock.SteppingClock(clock.now_us() + rounds * expired_us))

    runs = [stage.submit("fine", workflow="crane") for _ in range(6)]
    stage.functions.lose_messages()
    with later(1):
        stage.submit("fine", workflow="crane")
        stage.functions.lose_messages()
        stage.claim(runs[1], "lift")
        assert stage.say(runs[1], "lift", "complete", output="lifted").status == 200
    with later(2):
        wish = {"workerId": "mila", "runId": runs[2], "stepId": "lift"}
        stage.http("claim", "POST /steps/claim of a limited step", events.post("/steps/claim", wish))
        assert stage.http("submission", "cancel", events.post(f"/runs/{runs[5]}/cancel")).status == 200
    with later(3):
        assert (
            stage.http("control", "POST retry of a limited step", events.post(f"/runs/{runs[5]}/retry")).status == 200
        )
        stage.functions.lose_messages()
    with later(4):
        stage.reap(after_us=4 * expired_us)
        stage.work()
    stage.functions.lose_messages()


def calls_from_outside(stage: Stage) -> None:
    """Answers of every size, to runs that go on and runs that end with them; and what a step gave is lost by then."""
    runtime, backend = replace(stage.functions.backend.runtime, callbacks_url="https://x"), stage.functions.backend
    load = StepDefinition(id="load", name="load", export_output=True)
    asked = StepDefinition(id="asked", name="asked", dependencies=["load"], export_output=True, event=EventDefinition())
    after = StepDefinition(id="after", name="after", dependencies=["asked"])
    for slug, steps in (("asks", [load, asked]), ("goes-on", [load, asked, after])):
        backend.register_workflow(WorkflowRegistration(slug=slug, name=slug, steps=steps))
    for slug, data, lost in (("asks", large(4), False), ("goes-on", medium(4), False), ("asks", medium(5), True)):
        run_id = backend.submit_run(RunSubmission(workflow_slug=slug)).run_id
        assert backend.claim_scheduled_step(slug, run_id, "load", "mila") is not None
        backend.save_step_complete(slug, run_id, "load", large(6), duration_us=1, attempt_number=1, export_output=True)
        path = urlsplit(Callbacks(runtime).address(runtime.facts(runtime.run(run_id)), "asked")).path
        if lost:
            stage.bucket.objects.clear()
        _, _, address, secret = path.split("/")
        event = events.get(path, method="POST")
        event |= {"routeKey": "POST /callbacks/{runId}/{secret}", "body": json.dumps(data), "isBase64Encoded": False}
        event["pathParameters"] = {"runId": address, "secret": secret}
        with stage.guard.acting("callbacks", f"POST of {slug}"):
            assert app("callbacks").handler(event, events.Context())["statusCode"] == 200


def urgent(stage: Stage) -> None:
    """What is asked besides where a run is urgent: each that wakes somebody does it by another queue."""
    run_id = stage.submit("fine", priority=1)
    wake = Wake(run_id, "load", "load", attempt=1, urgent=True).to_message()
    with stage.guard.acting("worker", "urgent wake-up"):
        app("worker").handler(events.messages([wake]), events.Context())
    stage.reap()
    cancelled = stage.http("submission", "POST /runs/{runId}/cancel", events.post(f"/runs/{run_id}/cancel"))
    resumed = stage.http("control", "POST resume of an urgent run", events.post(f"/runs/{run_id}/resume"))
    assert (cancelled.status, resumed.status) == (200, 201)
    run_id = stage.submit("fine", priority=1)
    stage.claim(run_id, "load")
    assert stage.say(run_id, "load", "release").status == 200
    run_id = stage.submit("fine", workflow="wide", priority=1)
    stage.claim(run_id, "begin")
    with dying("make_owed"):
        stage.complete(run_id, "begin", 1)
    stage.claim(run_id, "part_0")
    stage.functions.sqs.send_message(QueueUrl=f"{stage.functions.queue_url}-dead", MessageBody=wake)
    again = stage.http("service", "POST redrive of what is urgent", events.post("/dead-letters/redrive", {}))
    assert again.json["count"] == 1


def schedules(stage: Stage) -> None:
    """Declared, looked at, looked after, swept: with an input that lies in the bucket."""
    often = {"name": "often", "everyUs": 60_000_000, "input": {"text": large(5)}}
    document = {"name": "Often", "steps": [{"stepId": "a"}], "schedules": [often]}
    assert stage.http("control", "PUT schedules", events.put("/workflows/often", document)).status == 200
    place = "/workflows/often/schedules/often"
    for route in ("/schedules", place):
        assert stage.http("query", f"GET {route}", events.get(route)).status == 200
    past = {"fromUs": clock.now_us() - 120_000_000, "untilUs": clock.now_us()}
    for verb, body, status in (("pause", {}, 200), ("resume", {}, 200), ("trigger", {}, 201), ("backfill", past, 200)):
        assert stage.http("control", f"POST {verb}", events.post(f"{place}/{verb}", body)).status == status
    stage.reap(after_us=120_000_000)
    assert "lastRunId" in stage.http("query", f"GET {place} again", events.get(place)).json
    stage.functions.lose_messages()


def families(stage: Stage) -> None:
    """A map is out while its run is cancelled, tried again, looked at, swept, and failed by one of its items."""
    cancelled, swept = (stage.submit(text, workflow="fleet") for text in (large(9), medium(9)))
    stage.work()
    for target in ("/children/sail", "/steps"):
        assert stage.http("query", f"GET {target}", events.get(f"/runs/{cancelled}{target}")).status == 200
    assert stage.http("diagnosis", "GET a family's", events.get(f"/runs/{cancelled}/diagnosis")).status == 200
    assert stage.http("submission", "cancel a family", events.post(f"/runs/{cancelled}/cancel")).status == 200
    assert stage.http("control", "retry a family", events.post(f"/runs/{cancelled}/retry")).status == 200
    stage.work()
    first, second = (child_id(cancelled, "sail", number) for number in range(2))
    for child in (first, second):
        stage.claim(child, "sail", pool="quay")
    assert stage.say(first, "sail", "complete", output=large(2)).status == 200
    assert stage.say(second, "sail", "fail", error={"message": "no wind"}, retryable=False).status == 200
    all_of_them = events.post("/runs/cancel", {"workflowSlug": "fleet"})
    assert stage.http("control", "cancel many families", all_of_them).status == 200
    assert stage.http("control", "resume a family", events.post(f"/runs/{swept}/resume")).status == 201
    stage.reap()
    stage.work()
    stage.functions.lose_messages()


def undone(stage: Stage) -> None:
    """What was done is undone by whoever ends the run."""
    cancelled, failed, late, last = (
        stage.submit(text, workflow="raft", **more)
        for text, more in ((large(9), {}), (medium(9), {}), (large(8), {"timeoutUs": 1_000_000}), (large(7), {}))
    )
    stage.work()
    assert stage.http("submission", "cancel what is undone", events.post(f"/runs/{cancelled}/cancel")).status == 200
    stage.claim(failed, "drift", pool="quay")
    assert stage.say(failed, "drift", "fail", error={"message": "a leak"}, retryable=False).status == 200
    stage.reap(after_us=2_000_000)
    all_of_them = events.post("/runs/cancel", {"workflowSlug": "raft"})
    assert stage.http("control", "cancel many that are undone", all_of_them).status == 200
    stage.work()
    runs = [stage.functions.backend.runtime.run(run_id) for run_id in (cancelled, failed, late, last)]
    assert [run.status for run in runs] == ["cancelled", "failed", "failed", "cancelled"]
    assert all(run.undone_by for run in runs)


def deployments(stage: Stage) -> None:
    with stage.guard.acting("registration", "deployment"):
        for _ in range(2):
            app("registration").handler({}, events.Context())


SCENES: tuple[Callable[[Stage], None], ...] = (
    deployments,
    commands,
    diagnoses,
    questions,
    looking_after,
    reports,
    service,
    claims,
    reports_of_workers,
    work,
    calls_from_outside,
    sweeps,
    limits,
    urgent,
    schedules,
    families,
    undone,
)


def everything(stage: Stage) -> None:
    """All that functions do, until something is denied."""
    for scene in SCENES:
        scene(stage)
        if stage.guard.denied:
            return


@pytest.fixture
def allowed() -> dict[str, set[Grant]]:
    return {name: set(grants) for name, grants in roles().items()}


@pytest.fixture
def stage(dynamodb: Store, environment: pytest.MonkeyPatch, allowed: dict[str, set[Grant]]) -> Iterator[Stage]:
    environment.setenv("CASCADE_WORKFLOWS", "heavy")
    sqs, bucket = dynamodb.server.sqs(), BucketClient()
    names = [f"roles-{dynamodb.table}{which}" for which in ("", "-urgent", "-dead")]
    queue_url, urgent_url, dead_url = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in names)
    seal = seal_of(Table(dynamodb.product, dynamodb.table))
    backend = DynamoDBBackend(
        dynamodb.table,
        client=dynamodb.product,
        bucket=Bucket("bucket", client=bucket),
        queue=SqsQueue(queue_url, urgent_url=urgent_url, client=sqs, seal=seal),
        timing=TIMING,
    )
    guard = Guard(allowed, {dead_url: "DeadLetters", urgent_url: "UrgentQueue"})
    wire_of(dynamodb.product).add(guard, floor=Floor.FAULT)
    wire_of(bucket).add(guard, floor=Floor.FAULT)
    _notice_signing(bucket, guard)
    functions = Functions(backend, dynamodb.server.sqs(), queue_url)
    wire_of(sqs).add(guard, floor=Floor.FAULT)
    letters = SqsDeadLetters(dead_url, queue_url, urgent_url=urgent_url, client=sqs)
    with resources.use(replace(backend.runtime, dead_letters=letters)):
        yield Stage(functions, guard, bucket)
    wire_of(dynamodb.product).remove(guard)
    for url in (queue_url, urgent_url, dead_url):
        sqs.delete_queue(QueueUrl=url)


def _notice_signing(bucket: BucketClient, guard: Guard) -> None:
    sign = bucket.generate_presigned_url

    def signing(*place: Any, **options: Any) -> str:
        guard.signs()
        return sign(*place, **options)

    bucket.generate_presigned_url = signing  # type: ignore[method-assign]


def test_what_functions_do_is_what_their_roles_allow(stage: Stage) -> None:
    everything(stage)
    assert dict(stage.guard.denied) == {}, "a role is too narrow for these routes"
    idle = [(name, *grant) for name, grant in GRANTS if grant not in stage.guard.used[name]]
    assert not idle, "nothing of the function needs what its role allows"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "grant"), GRANTS, ids=lambda each: each if isinstance(each, str) else " ".join(each))
def test_without_one_of_them_a_route_fails(
    stage: Stage, allowed: dict[str, set[Grant]], name: str, grant: Grant
) -> None:
    allowed[name].discard(grant)
    try:
        everything(stage)
    except (AssertionError, AttributeError, BatchProcessingError, CascadeFlowError, KeyError, TypeError):
        assert stage.guard.denied, "it failed for a reason of its own"
    assert grant in stage.guard.denied, f"no route of {name} needs {grant.action} on {grant.resource}"
    assert all(stage.guard.denied[grant]), "a denial names the route that needed it"
