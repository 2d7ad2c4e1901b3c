"""The handlers under AWS's own runtime client and its emulator of Lambda: cold, warm, out of time, killed.

The long form. Go builds the emulator; where there is none, the tests are left out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

import events
from cascade_flow import DynamoDBBackend, RunSubmission, StepCompleted, StepFailed
from cascade_flow.dynamodb import schema
from cascade_flow.local.deployment import client as emulated
from cascade_flow.local.state import REGION
from cascade_flow.local.tools import uv
from cascade_flow.wake import SqsQueue
from e2e.stack import TIMING, Stack, free_port
from e2e.waiting import until
from infra.written import ROOT

pytestmark = pytest.mark.slow

CLIENT = "awslambdaric==4.2.2"
EMULATOR = "github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie@v0.0.0-20261030222936-bef5c4ba774d"
TIMEOUT_S = 30
FLOWS = """
import os, signal, time
from cascade_flow import Retry, Workflow

calm, killed, long = Workflow("calm"), Workflow("killed"), Workflow("long")

@calm.step(export=True)
def say() -> int:
    return os.getpid()

@killed.step
def die():
    os.kill(os.getpid(), signal.SIGKILL)

@long.step(retry=Retry(max_attempts=1))
def sleep():
    time.sleep(600)
"""


@dataclass(frozen=True)
class Deployed:
    """A table and a queue in the emulator of AWS, which nobody but this test hands on."""

    stack: Stack
    backend: DynamoDBBackend
    queue_url: str
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def message(self) -> dict[str, Any]:
        """What the event source would give to the worker next."""
        found: list[Any] = []

        def received() -> bool:
            found.extend(self._sqs.receive_message(QueueUrl=self.queue_url, WaitTimeSeconds=1).get("Messages", []))
            return bool(found)

        until(received, otherwise=lambda: "no wake-up came")
        self._sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=found[0]["ReceiptHandle"])
        return events.messages([found[0]["Body"]])

    @property
    def _sqs(self) -> Any:
        return emulated(self.stack.local, "sqs")


@pytest.fixture(scope="module")
def lambda_emulator() -> Path:
    """AWS's program, built once."""
    if not shutil.which("go"):
        pytest.skip("the runtime interface emulator is built with Go, and there is none")
    folder = ROOT / ".tools"
    built = folder / "aws-lambda-rie"
    if not built.exists():
        environment = {"GOBIN": str(folder), "GOFLAGS": "-mod=mod", "PATH": _path(), "HOME": str(Path.home())}
        subprocess.run([str(shutil.which("go")), "install", EMULATOR], env=environment, check=True)
    return built


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with what the layer has, an SDK, and AWS's runtime client."""
    place = tmp_path_factory.mktemp("runtime")
    subprocess.run([uv(), "venv", "--quiet", "--python", sys.executable, str(place)], check=True)
    install = [uv(), "pip", "install", "--quiet", "--python", str(place / "bin/python")]
    layer = ROOT / "layers/framework/requirements.txt"
    subprocess.run([*install, "--requirement", str(layer)], check=True)
    subprocess.run([*install, "boto3", CLIENT], check=True)
    return place / "bin/python"


@pytest.fixture(scope="module")
def aws(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    folder, name = tmp_path_factory.mktemp("flows"), f"runtime-{uuid.uuid4().hex[:8]}"
    (folder / "flows.py").write_text(FLOWS)
    table, sqs = emulated(stack.local, "dynamodb"), emulated(stack.local, "sqs")
    schema.create_table(table, name)
    queue_url = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue = SqsQueue(queue_url, client=sqs)
    backend = DynamoDBBackend(name, client=table, queue=queue, timing=TIMING)
    variables = {
        "CASCADE_TABLE": name,
        "CASCADE_QUEUE_URL": queue_url,
        "CASCADE_WORKFLOWS": "flows",
        "CASCADE_LEASE_MS": str(TIMING.lease_us // 1_000),
        "CASCADE_HEARTBEAT_MS": "1000",
    }
    return Deployed(stack, backend, queue_url, folder, variables)


@dataclass(frozen=True)
class Function:
    """A handler in AWS's emulator of Lambda."""

    address: str
    process: subprocess.Popen[bytes]

    def call(self, event: Any) -> Any:
        answer = httpx.post(f"{self.address}/2015-03-31/functions/function/invocations", json=event, timeout=60)
        return json.loads(answer.text) if answer.text.startswith(("{", "[", "null")) else answer.text


@contextmanager
def function(name: str, aws: Deployed, python: Path, lambda_emulator: Path) -> Iterator[Function]:
    port = free_port()
    local = aws.stack.local
    environment = {
        **aws.variables,
        "PATH": _path(),
        "PYTHONPATH": f"{ROOT / 'backend'}:{aws.folder}",
        "AWS_ENDPOINT_URL": local.endpoint_url,
        "AWS_ACCESS_KEY_ID": local.access_key,
        "AWS_SECRET_ACCESS_KEY": local.secret_key,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(TIMEOUT_S),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "LAMBDA_TASK_ROOT": str(ROOT / "functions" / name),
    }
    command: list[str | Path] = [lambda_emulator, "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    command += ["--runtime-api-address", f"127.0.0.1:{free_port()}", python, "-m", "awslambdaric", "app.handler"]
    with subprocess.Popen(command, env=environment, cwd=ROOT / "functions" / name) as process:
        try:
            yield Function(f"http://127.0.0.1:{port}", process)
        finally:
            process.terminate()


@pytest.fixture
def worker(aws: Deployed, python: Path, lambda_emulator: Path) -> Iterator[Function]:
    with function("registration", aws, python, lambda_emulator) as registration:
        assert set(registration.call({})["workflows"]) == {"calm", "killed", "long"}
    with function("worker", aws, python, lambda_emulator) as started:
        yield started


def submitted(aws: Deployed, slug: str) -> str:
    return aws.backend.submit_run(RunSubmission(workflow_slug=slug)).run_id


def status(aws: Deployed, run_id: str) -> str:
    run = aws.backend.get_run(run_id)
    assert run is not None
    return run.status


def process_of(aws: Deployed, run_id: str) -> str:
    """What the step `say` has told of its process."""
    [said] = aws.backend.load_events("calm", run_id, types=["StepCompleted"])
    assert isinstance(said, StepCompleted)
    return said.output


def test_a_warm_call_is_answered_by_the_process_of_the_cold_one(aws: Deployed, worker: Function) -> None:
    runs = [submitted(aws, "calm") for _ in range(2)]
    assert [worker.call(aws.message()) for _ in runs] == [{"batchItemFailures": []}] * 2
    assert [status(aws, run_id) for run_id in runs] == ["completed"] * 2
    processes = {process_of(aws, run_id) for run_id in runs}
    assert len(processes) == 1


def test_a_question_is_answered(aws: Deployed, worker: Function, python: Path, lambda_emulator: Path) -> None:
    with function("query", aws, python, lambda_emulator) as query:
        answer = query.call(events.get("/workflows"))
    assert answer["statusCode"] == 200
    assert [each["workflowSlug"] for each in json.loads(answer["body"])["workflows"]] == ["calm", "killed", "long"]


def test_a_step_that_would_outlast_its_function_is_stopped_before(aws: Deployed, worker: Function) -> None:
    run_id = submitted(aws, "long")
    assert worker.call(aws.message()) == {"batchItemFailures": []}
    [failed] = aws.backend.load_events("long", run_id, types=["StepFailed"])
    assert isinstance(failed, StepFailed)
    assert failed.failure_reason == "timeout"
    assert status(aws, run_id) == "failed"


def test_a_process_that_is_killed_is_followed_by_another(aws: Deployed, worker: Function) -> None:
    run_id = submitted(aws, "killed")
    assert "errorType" in worker.call(aws.message())
    assert status(aws, run_id) == "running"
    aws.backend.cancel_run(run_id)
    calm = submitted(aws, "calm")
    assert worker.call(aws.message()) == {"batchItemFailures": []}
    assert status(aws, calm) == "completed"


def _path() -> str:
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
