"""A project with the real template and layer, and functions that do next to nothing, to try the local stack on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cascade_flow.local import Project, emulator
from infra.written import FUNCTION_FOLDERS, ROOT


def flows(*names: str, broken: str = "") -> str:
    """A module with these workflows; where it is `broken`, that shows only where functions run."""
    text = f"import os\nfrom cascade_flow import Workflow\nNAMES = {list(names)}\n"
    if broken:
        text += f"if 'AWS_LAMBDA_FUNCTION_NAME' in os.environ:\n    raise ValueError({broken!r})\n"
    return text + "".join(f"{name} = Workflow({name!r})\n@{name}.step\ndef of_{name}(): ...\n" for name in names)


WORKFLOWS = flows("one")

_ANSWER = """
import json
def handler(event, context):
    told = {"route": event["routeKey"], "parameters": event.get("pathParameters"), "function": context.function_name}
    told |= {"workflows": [], "unaffected": 0, "changed": 0, "broken": []}
    return {"statusCode": 200, "body": json.dumps(told)}
"""
_REGISTRATION = """
import importlib, json, os, pathlib, time, urllib.request
def handler(event, context):
    orders = pathlib.Path(%r)
    with (orders / "calls").open("a") as calls:
        calls.write("called\\n")
    while (orders / "hold").exists():
        time.sleep(0.02)
    if failures := int((orders / "fail").read_text()):
        (orders / "fail").write_text(str(failures - 1))
        raise RuntimeError("out of breath")
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"PhysicalResourceId": "workflows", "Status": "SUCCESS"}
    try:
        names = importlib.import_module(os.environ["CASCADE_WORKFLOWS"]).NAMES
        answer["Data"] = {"Workflows": ",".join(names)}
    except Exception as error:
        answer |= {"Status": "FAILED", "Reason": str(error)}
    body = json.dumps(answer).encode()
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data=body, method="PUT"), timeout=10)
"""
_WORKER = """
import json, os, pathlib, time
import boto3, cascade_flow, workflows
def handler(event, context):
    told = json.loads(event["Records"][0]["body"])
    pathlib.Path(told["file"]).write_text(json.dumps({"pid": os.getpid(), "environment": dict(os.environ)}))
    if "next" in told:
        entries = [{"Id": "0", "MessageBody": told["next"]}]
        boto3.client("sqs").send_message_batch(QueueUrl=os.environ["CASCADE_QUEUE_URL"], Entries=entries)
    if "scan" in told:
        boto3.client("dynamodb").scan(TableName=os.environ["CASCADE_TABLE"])
    return {"batchItemFailures": []}
"""
_REAPER = """
import pathlib
def handler(event, context):
    with pathlib.Path(%r).open("a") as calls:
        calls.write("called\\n")
"""


def thin_project(root: Path, *, port: int | None) -> Project:
    """The project, written into `root`; the emulator is the one that the checkout's own local stack has installed."""
    for name in ("template.yaml", "cascade.toml"):
        shutil.copyfile(ROOT / name, root / name)
    for name in ("layers", "backend"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    code = {
        "registration": _REGISTRATION % str(Orders.given(root).folder),
        "worker": _WORKER,
        "reaper": _REAPER % str(reaper_calls(root)),
    }
    for folder in FUNCTION_FOLDERS:
        (root / folder).mkdir(parents=True)
        (root / folder / "app.py").write_text(code.get(folder.split("/")[-1], _ANSWER), encoding="utf-8")
    (root / "examples/workflows").mkdir(parents=True)
    project = Project(root, port=port, sweep_ms=500)
    declare(project, WORKFLOWS)
    share_emulator(project)
    return project


@dataclass(frozen=True)
class Orders:
    """What the registration does beside its work: it waits while it is held, and fails as often as it is told to."""

    folder: Path

    @classmethod
    def given(cls, root: Path) -> Orders:
        orders = cls(root / "registration")
        orders.folder.mkdir(exist_ok=True)
        (orders.folder / "calls").touch()
        orders.fail(times=0)
        return orders

    def fail(self, *, times: int) -> None:
        (self.folder / "fail").write_text(str(times))

    def calls(self) -> int:
        return len((self.folder / "calls").read_text().splitlines())

    @contextmanager
    def held(self) -> Iterator[None]:
        (self.folder / "hold").touch()
        try:
            yield
        finally:
            (self.folder / "hold").unlink()


def declare(project: Project, source: str) -> None:
    (project.workflows_dir / "workflows/__init__.py").write_text(source, encoding="utf-8")


def reaper_calls(root: Path) -> Path:
    """Each call of the reaper adds a line to this file."""
    return root / "reaper-calls"


def share_emulator(project: Project) -> None:
    """Let a project use the emulator that the checkout's own local stack has installed."""
    shared = ROOT / ".cascade"
    if not emulator.is_installed(shared):
        emulator.install(shared)
    project.home.mkdir()
    emulator.environment(project.home).symlink_to(emulator.environment(shared))
