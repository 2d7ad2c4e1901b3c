"""The stack on this machine, for real: up, used, changed, broken, killed, down."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cascade_flow.clock import now_us, pause_us
from cascade_flow.errors import BackendUnavailableError, ConfigurationError
from cascade_flow.local import (
    ACCESS_KEY,
    REGION,
    SECRET_KEY,
    LocalStack,
    Project,
    down,
    emulator,
    running,
    state,
    up,
    worker_pids,
)
from infra.thin import WORKFLOWS, declare, reaper_calls, thin_project

PATIENCE_US = 30_000_000


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = thin_project(tmp_path_factory.mktemp("project"), port=_free_port())
    try:
        yield made
    finally:
        list(down(made))


@pytest.fixture
def stack(project: Project) -> LocalStack:
    list(up(project))
    return running(project)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until(holds: Callable[[], bool]) -> None:
    deadline_us = now_us() + PATIENCE_US
    while not holds():
        assert now_us() < deadline_us, "it never came true"
        pause_us(20_000)


def _call(stack: LocalStack, method: str, path: str, *, key: str | None = ACCESS_KEY) -> httpx.Response:
    request = AWSRequest(method, stack.api_url + path)
    if key is not None:
        SigV4Auth(Credentials(key, SECRET_KEY), "execute-api", REGION).add_auth(request)
    return httpx.request(method, stack.api_url + path, headers=dict(request.headers), timeout=30)


def _wake(stack: LocalStack, told: dict[str, Any]) -> None:
    queue = boto3.client(
        "sqs",
        endpoint_url=stack.endpoint_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    queue.send_message(QueueUrl=stack.outputs["QueueUrl"], MessageBody=json.dumps(told))


def _worker_said(stack: LocalStack, file: Path, **told: str) -> dict[str, Any]:
    _wake(stack, {"file": str(file), **told})
    _until(lambda: file.exists() and file.read_text().endswith("}}"))
    said: dict[str, Any] = json.loads(file.read_text())
    return said


class TestUp:
    def test_a_second_time_there_is_nothing_to_do(self, project: Project, stack: LocalStack) -> None:
        assert list(up(project)) == []
        assert running(project) == stack

    def test_what_is_signed_is_answered_and_nothing_else(self, stack: LocalStack) -> None:
        assert _call(stack, "GET", "/runs").status_code == 200
        assert _call(stack, "GET", "/runs", key=None).status_code == 403
        assert _call(stack, "GET", "/runs", key="AKIAIOSFODNN7EXAMPLE").status_code == 403
        assert _call(stack, "GET", "/nowhere").status_code == 404

    @pytest.mark.parametrize("written", ["group/step", "group%2Fstep"])
    def test_a_step_in_a_group_reaches_its_function(self, stack: LocalStack, written: str) -> None:
        told = _call(stack, "POST", f"/runs/r1/steps/{written}/heartbeat").json()
        assert told["function"] == "cascade-heartbeat"
        assert told["parameters"] == {"runId": "r1", "proxy": "group/step/heartbeat"}

    def test_a_message_wakes_a_worker_that_sees_nothing_of_this_machine(
        self, stack: LocalStack, tmp_path: Path
    ) -> None:
        said = _worker_said(stack, tmp_path / "said")
        assert said["environment"]["CASCADE_TABLE"] == stack.outputs["TableName"]
        assert said["environment"]["CASCADE_WORKFLOWS"] == "workflows"
        assert not set(said["environment"]) & {"USER", "AWS_PROFILE", "PYTHONPATH", "SSH_AUTH_SOCK"}

    def test_layers_are_unpacked_once_for_all_processes(self, stack: LocalStack, tmp_path: Path) -> None:
        layers = _worker_said(stack, tmp_path / "said")["environment"]["_LAMBDA_LAYERS_DIRS"].split(os.pathsep)
        assert len(layers) == 2
        assert all((Path(layer) / "python").is_symlink() for layer in layers)

    def test_who_may_send_a_message_may_send_several(self, stack: LocalStack, tmp_path: Path) -> None:
        _worker_said(stack, tmp_path / "first", next=json.dumps({"file": str(tmp_path / "second")}))
        _until((tmp_path / "second").exists)

    def test_a_role_allows_no_more_than_it_says(self, project: Project, stack: LocalStack, tmp_path: Path) -> None:
        _worker_said(stack, tmp_path / "said", scan="yes")
        log = emulator.log_path(project.home)
        _until(lambda: "not authorized to perform: dynamodb:Scan" in log.read_text())

    def test_the_reaper_is_called_again_and_again(self, project: Project, stack: LocalStack) -> None:
        calls = reaper_calls(project.root)
        calls.unlink(missing_ok=True)
        _until(lambda: calls.exists() and len(calls.read_text().splitlines()) >= 3)


class TestChange:
    def test_changed_workflows_are_registered_anew(self, project: Project, stack: LocalStack) -> None:
        declare(project, "NAMES = ['one', 'two']\n")
        assert len(list(up(project))) == 1
        assert running(project).outputs["RegisteredWorkflows"] == "one,two"
        assert running(project).pid == stack.pid

    def test_broken_workflows_are_refused_with_their_reason_and_the_old_ones_stay(
        self, project: Project, stack: LocalStack
    ) -> None:
        declare(project, "raise ValueError('step b needs step a')\n")
        with pytest.raises(ConfigurationError, match="Registration: step b needs step a"):
            list(up(project))
        assert _call(running(project), "GET", "/runs").status_code == 200
        declare(project, WORKFLOWS)
        list(up(project))
        assert running(project).outputs["RegisteredWorkflows"] == "one"

    def test_broken_workflows_at_the_very_first(self, project: Project) -> None:
        list(down(project))
        declare(project, "raise ValueError('no such step')\n")
        with pytest.raises(ConfigurationError, match="Registration: no such step"):
            list(up(project))
        with pytest.raises(BackendUnavailableError, match="cascade up"):
            running(project)
        declare(project, WORKFLOWS)
        list(up(project))
        assert running(project).outputs["RegisteredWorkflows"] == "one"


class TestTrouble:
    def test_a_port_that_is_taken(self, project: Project) -> None:
        list(down(project))
        taken = pytest.raises(ConfigurationError, match=f"Port {project.port} is taken")
        with socket.create_server(("127.0.0.1", project.port)), taken:
            list(up(project))

    def test_another_port_than_it_runs_on(self, project: Project, stack: LocalStack) -> None:
        with pytest.raises(ConfigurationError, match=f"already runs on port {stack.port}"):
            list(up(Project(project.root, port=_free_port(), overrides=project.overrides)))

    def test_a_killed_emulator_is_told_and_started_again(
        self, project: Project, stack: LocalStack, tmp_path: Path
    ) -> None:
        _worker_said(stack, tmp_path / "said")
        os.kill(stack.pid, signal.SIGKILL)
        _until(lambda: stack.pid not in emulator.processes(project.home, stack))
        with pytest.raises(BackendUnavailableError, match="has died"):
            running(project)
        list(up(project))
        assert running(project).pid != stack.pid
        assert emulator.processes(project.home, stack) == []

    def test_an_emulator_that_ends_at_once_has_the_last_word(self, project: Project, tmp_path: Path) -> None:
        list(down(project))
        false = emulator.start(project.home, port=project.port, stack_name="x", reaper="x", sweep_ms=1000)
        os.kill(false.pid, signal.SIGKILL)
        with pytest.raises(BackendUnavailableError, match="did not start"):
            emulator.wait_until_ready(project.home, false)


class TestDown:
    def test_no_process_and_no_state_is_left(self, project: Project, stack: LocalStack, tmp_path: Path) -> None:
        worker = _worker_said(stack, tmp_path / "said")["pid"]
        assert worker in worker_pids(project)
        assert stack.pid not in worker_pids(project)
        assert {worker, stack.pid} <= set(emulator.processes(project.home, stack))
        assert len(list(down(project))) == 1
        assert emulator.processes(project.home, stack) == []
        assert state.read(project.home) is None
        assert not (project.home / "tmp").exists()
        assert list(down(project)) == []
