"""The stack as its user has it: the very template, deployed from a copy of this project, and what tests do with it."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from e2e.lifeline import Lifeline, lifeline
from e2e.waiting import until
from e2e.wakeups import WakeUps
from infra.thin import share_emulator
from infra.written import ROOT

ONCE = httpx.Limits(max_keepalive_connections=0)
"""A connection for each request: the emulator may be another by the next."""
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
    "Callbacks": "true",
}

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Kit:
    """What is deployed: workflows, parameters where they aren't the suite's, variables that the functions get."""

    workflows: Path
    parameters: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


TRIALS = Kit(Path(__file__).parent / "workflows")

_SOURCES = ("template.yaml", "cascade.toml", "backend", "functions", "layers")
_VARIABLES = "      Variables:\n"
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.egg-info")


@dataclass(frozen=True)
class Stack:
    """A deployed stack: its API, its table and its queue."""

    project: Project
    local: LocalStack
    client: Client
    backend: DynamoDBBackend
    wakeups: WakeUps
    lifeline: Lifeline
    http: httpx.Client
    """Who asks as anybody may; to make one takes longer than most requests."""

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
        return self.http.request(method, self.local.api_url + path, content=content, headers=dict(request.headers))


def of_kind(checked: Checked, kind: type[E], step_id: str | None = None) -> list[E]:
    """The run's events of one kind, in order."""
    found = [event for event in checked.events if isinstance(event, kind)]
    return [event for event in found if step_id in (None, getattr(event, "step_id", None))]


@contextmanager
def deployed(root: Path, port: int, kit: Kit = TRIALS) -> Iterator[Stack]:
    """A stack of its own in an empty folder. When the block ends, or this process does, nothing of it is left."""
    project = _copy(root, port, kit)
    with lifeline(project) as line:
        list(up(project))
        local = running(project)
        with client_of(local) as client, httpx.Client(timeout=30, limits=ONCE) as http:
            yield Stack(project, local, client, _backend(local), _wakeups(local), line, http)


def client_of(local: LocalStack) -> Client:
    """One more client of its API: a thread needs one of its own."""
    return Client(local.api_url, region=REGION, session=_session(local))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _copy(root: Path, port: int, kit: Kit) -> Project:
    """So that nobody's edit changes the stack underway, and a test may change its workflows."""
    for name in _SOURCES:
        copy = shutil.copyfile if (ROOT / name).is_file() else _copy_folder
        copy(ROOT / name, root / name)
    _copy_folder(kit.workflows, root / PARAMETERS["WorkflowsDir"])
    _give_variables(root / "template.yaml", kit.variables)
    project = Project(root, port=port, overrides={**PARAMETERS, **kit.parameters}, sweep_ms=SWEEP_US // 1_000)
    share_emulator(project)
    return project


def _copy_folder(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=_NOT_COPIED)


def _give_variables(template: Path, variables: Mapping[str, str]) -> None:
    """Add variables to the environment of all functions, which comes first in the template."""
    text = template.read_text(encoding="utf-8")
    added = "".join(f"        {name}: {value}\n" for name, value in variables.items())
    assert _VARIABLES in text
    template.write_text(text.replace(_VARIABLES, _VARIABLES + added, 1), encoding="utf-8")


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
        urgent_url=local.outputs["UrgentQueueUrl"],
        dead_letters_url=local.outputs["DeadLettersUrl"],
        listener=local.outputs["WorkerFunctionName"],
    )
