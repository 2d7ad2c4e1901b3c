"""The stack on this machine, for real: up, used, changed, broken, killed, down."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from cascade_flow.clock import now_us, pause_us
from cascade_flow.errors import BackendUnavailableError, ConfigurationError, DefinitionError
from cascade_flow.local import (
    REGION,
    LocalStack,
    Project,
    down,
    emulator,
    running,
    state,
    up,
    worker_pids,
)
from cascade_flow.local.deployment import client
from infra.thin import WORKFLOWS, declare, flows, reaper_calls

PATIENCE_US = 90_000_000


def until(holds: Callable[[], bool]) -> None:
    deadline_us = now_us() + PATIENCE_US
    while not holds():
        assert now_us() < deadline_us, "it never came true"
        pause_us(20_000)


def _call(stack: LocalStack, method: str, path: str, *, key: str | None = None, signed: bool = True) -> httpx.Response:
    request = AWSRequest(method, stack.api_url + path)
    if signed:
        SigV4Auth(Credentials(key or stack.access_key, stack.secret_key), "execute-api", REGION).add_auth(request)
    return httpx.request(method, stack.api_url + path, headers=dict(request.headers), timeout=30)


def _wake(stack: LocalStack, told: dict[str, Any]) -> None:
    queue = client(stack, "sqs")
    queue.send_message(QueueUrl=stack.outputs["QueueUrl"], MessageBody=json.dumps(told))


def _worker_said(stack: LocalStack, file: Path, **told: str) -> dict[str, Any]:
    _wake(stack, {"file": str(file), **told})
    until(lambda: file.exists() and file.read_text().endswith("}}"))
    said: dict[str, Any] = json.loads(file.read_text())
    return said


class TestUp:
    def test_a_second_time_there_is_nothing_to_do(self, project: Project, stack: LocalStack) -> None:
        assert list(up(project)) == []
        assert list(up(replace(project, port=None))) == [], "without a port, the one that it has is meant"
        assert running(project) == stack

    def test_what_is_signed_is_answered_and_nothing_else(self, stack: LocalStack) -> None:
        assert _call(stack, "GET", "/runs").status_code == 200
        assert _call(stack, "GET", "/runs", signed=False).status_code == 403
        assert _call(stack, "GET", "/runs", key="AKIAIOSFODNN7EXAMPLE").status_code == 403
        assert _call(stack, "GET", "/nowhere").status_code == 404

    @pytest.mark.parametrize("written", ["group/step", "group%2Fstep"])
    def test_a_step_in_a_group_reaches_its_function(self, stack: LocalStack, written: str) -> None:
        told = _call(stack, "POST", f"/runs/r1/steps/{written}/heartbeat").json()
        assert "HeartbeatFunction" in told["function"]
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
        until((tmp_path / "second").exists)

    def test_a_role_allows_no_more_than_it_says(self, project: Project, stack: LocalStack, tmp_path: Path) -> None:
        _worker_said(stack, tmp_path / "said", scan="yes")
        log = emulator.log_path(project.home)
        until(lambda: "not authorized to perform: dynamodb:Scan" in log.read_text())

    def test_the_reaper_is_called_again_and_again(self, project: Project, stack: LocalStack) -> None:
        calls = reaper_calls(project.root)
        calls.unlink(missing_ok=True)
        until(lambda: calls.exists() and len(calls.read_text().splitlines()) >= 3)


def _as(key: str, secret: str, token: str | None = None) -> Any:
    return boto3.Session(key, secret, token, region_name=REGION)


class TestSafety:
    """That each way of signing is looked at is shown in test_guard: here, that nothing gets around it."""

    def test_nobody_is_let_in_by_a_guess(self, stack: LocalStack) -> None:
        guesses = [("test", "test"), ("000000000000", stack.secret_key), (stack.access_key, "guess")]
        for key, secret in guesses:
            for service, ask in (("cloudformation", "describe_stacks"), ("s3", "list_buckets"), ("iam", "list_roles")):
                client_ = _as(key, secret).client(service, endpoint_url=stack.endpoint_url)
                with pytest.raises(ClientError) as refused:
                    getattr(client_, ask)()
                assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403

    def test_a_function_has_a_key_of_its_own_that_nobody_can_guess(self, stack: LocalStack, tmp_path: Path) -> None:
        told = _worker_said(stack, tmp_path / "said")["environment"]
        assert stack.secret_key not in told.values()
        function = client(stack, "lambda").get_function(FunctionName=stack.outputs["WorkerFunctionName"])
        arn, role = function["Configuration"]["FunctionArn"], function["Configuration"]["Role"]
        guess = hashlib.sha256(f"{arn}:{role}".encode()).hexdigest()
        assert hashlib.sha256(f"secret:{guess}".encode()).hexdigest() != told["AWS_SECRET_ACCESS_KEY"]
        keys = (told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"], told["AWS_SESSION_TOKEN"])
        mine = _as(*keys).client("sts", endpoint_url=stack.endpoint_url).get_caller_identity()
        assert role.rpartition("/")[2] in mine["Arn"]
        assert _admin(stack, Credentials(*keys)).status_code == 403

    def test_only_its_owner_gives_the_emulator_orders(self, stack: LocalStack) -> None:
        assert _admin(stack, None).status_code == 403
        assert _admin(stack, Credentials(stack.access_key, stack.secret_key)).status_code == 200

    def test_a_web_page_reaches_nothing(self, stack: LocalStack) -> None:
        page = {"Origin": "http://evil.example", "Content-Type": "text/plain"}
        scope = f"{stack.access_key}/20260101/{REGION}/lambda/aws4_request"
        made_up = f"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}&X-Amz-Signature=0"
        for method, path in (
            ("POST", f"/2015-03-31/functions{made_up}"),
            ("OPTIONS", "/2015-03-31/functions"),
            ("GET", "/_ministack/ready"),
            ("GET", "/_ministack/health"),
            ("OPTIONS", f"/_aws/execute-api/{stack.outputs['ApiId']}/runs"),
        ):
            answer = httpx.request(method, stack.endpoint_url + path, headers=page)
            assert answer.status_code == 403, path
            assert not [name for name in answer.headers if name.startswith("access-control")], path
        rebound = httpx.get(f"{stack.endpoint_url}/_ministack/ready", headers={"Host": f"evil.example:{stack.port}"})
        assert rebound.status_code == 403

    def test_no_page_may_read_an_answer(self, stack: LocalStack) -> None:
        for answer in (httpx.get(f"{stack.endpoint_url}/_ministack/ready"), _call(stack, "GET", "/runs")):
            assert answer.status_code == 200
            assert not [name for name in answer.headers if name.startswith("access-control")]

    def test_a_key_for_one_service_opens_no_other(self, stack: LocalStack) -> None:
        for service, path, target in (
            ("sqs", "/", "DynamoDB_20120810.ListTables"),
            ("lambda", stack.api_url.removeprefix(stack.endpoint_url) + "/runs", None),
            ("execute-api", "/_ministack/health", None),
        ):
            headers = {"X-Amz-Target": target} if target else {}
            request = AWSRequest("POST", stack.endpoint_url + path, headers=headers, data=b"{}")
            SigV4Auth(Credentials(stack.access_key, stack.secret_key), service, REGION).add_auth(request)
            answer = httpx.post(str(request.url), headers=dict(request.headers), content=b"{}")
            assert answer.status_code in (400, 403), (service, answer.text)
            assert "wrong service" in answer.text or answer.json() == {"message": "Forbidden"}

    def test_a_presigned_address_is_good_for_what_it_names(self, stack: LocalStack) -> None:
        bucket = client(stack, "s3")
        bucket.put_object(Bucket=stack.outputs["BucketName"], Key="a b/c", Body=b"content")
        asked = {"Bucket": stack.outputs["BucketName"], "Key": "a b/c"}
        asker = _as(stack.access_key, stack.secret_key).client(
            "s3", endpoint_url=stack.endpoint_url, config=Config(signature_version="s3v4")
        )
        address = asker.generate_presigned_url("get_object", Params=asked, ExpiresIn=60)
        assert httpx.get(address).content == b"content"
        assert httpx.get(address.replace("a%20b/c", "a%20b/d")).status_code == 403

    def test_it_listens_to_this_machine_alone(self, stack: LocalStack) -> None:
        others = {address[4][0] for address in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
        for host in {"127.0.0.2", *others} - {"127.0.0.1"}:
            with socket.socket() as probe:
                probe.settimeout(2)
                assert probe.connect_ex((str(host), stack.port)) != 0, host

    def test_nobody_else_can_read_the_secret(self, project: Project, stack: LocalStack, tmp_path: Path) -> None:
        _worker_said(stack, tmp_path / "said")
        listed = subprocess.run(["ps", "-A", "-ww", "-o", "command="], capture_output=True, text=True, check=True)
        assert stack.secret_key not in listed.stdout
        assert stack.secret_key not in repr(stack)
        files = [path for path in project.home.rglob("*") if path.is_file() and not path.is_symlink()]
        holders = [path for path in files if stack.secret_key.encode() in path.read_bytes()]
        assert [path.name for path in holders] == [state.STATE_FILE]
        assert stat.S_IMODE(holders[0].stat().st_mode) == 0o600


def _admin(stack: LocalStack, by: Credentials | None) -> httpx.Response:
    request = AWSRequest("GET", f"{stack.endpoint_url}/_ministack/health")
    if by:
        SigV4Auth(by, "ministack", REGION).add_auth(request)
    return httpx.get(str(request.url), headers=dict(request.headers))


class TestChange:
    def test_changed_workflows_are_registered_anew(self, project: Project, stack: LocalStack) -> None:
        declare(project, flows("one", "two"))
        assert len(list(up(project))) == 1
        assert running(project).outputs["RegisteredWorkflows"] == "one,two"
        assert running(project).pid == stack.pid

    def test_broken_workflows_are_refused_with_their_reason_and_the_old_ones_stay(
        self, project: Project, stack: LocalStack
    ) -> None:
        before = (project.workflows_dir / "workflows/__init__.py").read_text()
        declare(project, flows("one", broken="step b needs step a"))
        with pytest.raises(ConfigurationError, match="Registration: step b needs step a"):
            list(up(project))
        assert _call(running(project), "GET", "/runs").status_code == 200
        declare(project, before)
        assert len(list(up(project))) == 1, "nobody knew what was deployed"
        assert running(project).outputs == stack.outputs
        assert list(up(project)) == []

    def test_mistakes_that_show_here_are_told_before_anything_is_deployed(
        self, project: Project, stack: LocalStack
    ) -> None:
        before = (project.workflows_dir / "workflows/__init__.py").read_text()
        declare(project, "import sys\nsys.exit('no card service')\n")
        with pytest.raises(DefinitionError) as refused:
            list(up(project))
        (mistake,) = refused.value.issues
        assert mistake.path == "examples/workflows/__init__.py:2"
        assert "the module 'workflows' can't be imported (SystemExit: no card service)" in mistake.message
        declare(project, before)
        assert list(up(project)) == [], "all is as it was"

    def test_broken_workflows_at_the_very_first(self, project: Project) -> None:
        list(down(project))
        declare(project, flows("one", broken="no such step"))
        with pytest.raises(ConfigurationError, match="Registration: no such step"):
            list(up(project))
        declare(project, WORKFLOWS)
        with pytest.raises(BackendUnavailableError, match=r"Nothing runs here yet\. Start it: cascade up"):
            running(project)


class TestTrouble:
    def test_a_port_that_is_taken(self, project: Project) -> None:
        list(down(project))
        with socket.create_server(("127.0.0.1", project.port)):
            with pytest.raises(ConfigurationError, match=f"Port {project.port} is taken") as refused:
                list(up(project))
            with socket.socket() as other:
                other.bind(("127.0.0.1", int(str(refused.value).rpartition(" ")[2])))
        assert state.read(project.home) is None

    def test_an_emulator_that_ends_at_once_has_the_last_word(self, project: Project, tmp_path: Path) -> None:
        list(down(project))
        false = emulator.start(project.home, port=project.port or 0, stack_name="x", sweep_ms=1000)
        os.kill(false.pid, signal.SIGKILL)
        with pytest.raises(BackendUnavailableError, match="did not start"):
            emulator.wait_until_ready(project.home, false)

    def test_another_port_than_it_runs_on(self, project: Project, stack: LocalStack) -> None:
        with pytest.raises(ConfigurationError, match=f"already runs on port {stack.port}"):
            list(up(replace(project, port=stack.port + 1)))

    def test_a_killed_emulator_is_told_and_started_again(
        self, project: Project, stack: LocalStack, tmp_path: Path
    ) -> None:
        _worker_said(stack, tmp_path / "said")
        os.kill(stack.pid, signal.SIGKILL)
        until(lambda: stack.pid not in emulator.processes(project.home, stack))
        with pytest.raises(BackendUnavailableError, match="has died"):
            running(project)
        list(up(replace(project, port=None)))
        assert running(project).pid != stack.pid
        assert running(project).secret_key != stack.secret_key
        assert running(project).port == stack.port
        assert emulator.processes(project.home, stack) == []


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
