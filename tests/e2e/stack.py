"""The stack as its user has it: the very template, deployed from a copy of this project, and what tests do with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import botocore.session
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cascade_flow import DynamoDBBackend, Event, parse_event
from cascade_flow.client import Client
from cascade_flow.engine.state import ENDED, Timing
from cascade_flow.local import REGION, LocalStack, Project, running, up
from cascade_flow.local.deployment import client as emulated
from cascade_flow.offload import Bucket
from checker import Checked, check_run
from e2e.lifeline import lifeline
from e2e.waiting import until
from e2e.wakeups import WakeUps
from infra.thin import share_emulator
from infra.written import ROOT

TIMING = Timing(lease_us=4_000_000, grace_us=2_000_000)
HEARTBEAT_US = 1_000_000
SWEEP_US = 1_000_000
PARAMETERS = {
    "WorkflowsPackage": "trials",
    "WorkflowsDir": "workflows",
    "WorkerTimeout": "30",
    "LeaseMs": str(TIMING.lease_us // 1_000),
    "HeartbeatMs": str(HEARTBEAT_US // 1_000),
    "GraceMs": str(TIMING.grace_us // 1_000),
}

E = TypeVar("E", bound=Event)

_SOURCES = ("template.yaml", "samconfig.toml", "backend", "functions", "layers")
_WORKFLOWS = Path(__file__).parent / "workflows"
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.egg-info")


@dataclass(frozen=True)
class Stack:
    """A deployed stack: its API, its table and its queue."""

    project: Project
    local: LocalStack
    client: Client
    backend: DynamoDBBackend
    wakeups: WakeUps

    def submit(self, workflow_slug: str, **wishes: Any) -> str:
        """The id of a new run."""
        run_id: str = self.client.submit(workflow_slug, **wishes)["runId"]
        return run_id

    def status(self, run_id: str) -> str:
        run = self.backend.get_run(run_id)
        assert run is not None
        return run.status

    def finished(self, run_id: str, status: str = "completed") -> Checked:
        """The run once it is over, with every promise kept; it must have ended like this."""
        until(lambda: self.status(run_id) in ENDED, otherwise=lambda: self.told(run_id))
        assert self.status(run_id) == status, self.told(run_id)
        return check_run(self.backend, run_id)

    def events(self, run_id: str, kind: type[E], step_id: str | None = None) -> list[E]:
        """What has happened so far, of one kind."""
        found = map(parse_event, self.client.events(run_id, types=[kind.__name__], step_id=step_id))
        return [event for event in found if isinstance(event, kind)]

    def told(self, run_id: str) -> str:
        """All that happened in a run, for people."""
        return "\n".join(json.dumps(event) for event in self.client.events(run_id))

    def call(self, method: str, path: str, body: Any = None, *, signed: bool = True) -> httpx.Response:
        """A request as it goes over the wire."""
        content = b"" if body is None else json.dumps(body).encode()
        request = AWSRequest(method, self.local.api_url + path, data=content)
        if signed:
            SigV4Auth(Credentials(self.local.access_key, self.local.secret_key), "execute-api", REGION).add_auth(
                request
            )
        return httpx.request(
            method, self.local.api_url + path, content=content, headers=dict(request.headers), timeout=30
        )


def of_kind(checked: Checked, kind: type[E], step_id: str | None = None) -> list[E]:
    """The run's events of one kind, in order."""
    found = [event for event in checked.events if isinstance(event, kind)]
    return [event for event in found if step_id in (None, getattr(event, "step_id", None))]


@contextmanager
def deployed(root: Path, port: int) -> Iterator[Stack]:
    """A stack of its own in an empty folder. When the block ends, or this process does, nothing of it is left."""
    project = _copy(root, port)
    with lifeline(project):
        list(up(project))
        local = running(project)
        with Client(local.api_url, region=REGION, session=_session(local)) as client:
            yield Stack(project, local, client, _backend(local), _wakeups(local))


def _copy(root: Path, port: int) -> Project:
    """So that nobody's edit changes the stack underway, and a test may change its workflows."""
    for name in _SOURCES:
        copy = shutil.copyfile if (ROOT / name).is_file() else _copy_folder
        copy(ROOT / name, root / name)
    _copy_folder(_WORKFLOWS, root / PARAMETERS["WorkflowsDir"])
    project = Project(root, port=port, overrides=PARAMETERS, sweep_ms=SWEEP_US // 1_000)
    share_emulator(project)
    return project


def _copy_folder(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=_NOT_COPIED)


def _session(local: LocalStack) -> botocore.session.Session:
    session = botocore.session.Session()
    session.set_credentials(local.access_key, local.secret_key)
    return session


def _backend(local: LocalStack) -> DynamoDBBackend:
    bucket = Bucket(local.outputs["BucketName"], client=emulated(local, "s3"))
    table = local.outputs["TableName"]
    return DynamoDBBackend(table, client=emulated(local, "dynamodb"), bucket=bucket, timing=TIMING)


def _wakeups(local: LocalStack) -> WakeUps:
    return WakeUps(
        emulated(local, "sqs"),
        emulated(local, "lambda"),
        queue_url=local.outputs["QueueUrl"],
        dead_letters_url=local.outputs["DeadLettersUrl"],
        listener=local.outputs["WorkerFunctionName"],
    )
