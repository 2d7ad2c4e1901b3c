"""Workers that are no Lambda, as their users start them: processes of their own, that know nothing but the API."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from cascade_flow.local import LocalStack
from cascade_flow.local.state import REGION
from infra.written import ROOT

EXAMPLE = ROOT / "examples" / "worker-node"


@dataclass(frozen=True)
class Started:
    """A worker's process, and the file that it tells in what happens."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def has_told(self, event: str, step_id: str | None = None) -> bool:
        return any(told["event"] == event and step_id in (None, told.get("stepId")) for told in self.told)

    def kill(self) -> None:
        """All of it at once, as when its machine goes down."""
        self.process.send_signal(signal.SIGSTOP)
        for pid in (pid for told in self.told for pid in told.get("slots", ())):
            os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """As systemd does, and a person: it may finish what it runs."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def started(command: Sequence[str | Path], folder: Path, log: Path, variables: Mapping[str, str]) -> Iterator[Started]:
    with log.open("wb") as out, _running(command, folder, out, variables) as process:
        yield Started(process, log)


@contextmanager
def _running(
    command: Sequence[str | Path], folder: Path, out: IO[bytes], variables: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, cwd=folder, stdout=out, env={**os.environ, **variables})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def cascade_worker(stack: LocalStack, folder: Path, log: Path, *options: str) -> Any:
    """`cascade worker` with the workflows in a folder, for the stack at its address."""
    command = [sys.executable, "-m", "cascade_flow.cli", "worker", "--json", "--url", stack.api_url, *options]
    return started([*command, "--workflows", "trials"], folder, log, credentials(stack))


def node_worker(stack: LocalStack, folder: Path, log: Path) -> Any:
    """The example's worker, with the steps of `e2e/node`, in a folder where it is installed."""
    command = [program("node"), "--import", "./localhost.mjs", "steps.mjs"]
    return started(command, folder, log, credentials(stack))


def installed(folder: Path) -> Path:
    """The example as its reader has it after `npm ci`, with our steps."""
    for name in ("package.json", "package-lock.json", "worker.mjs", "localhost.mjs"):
        shutil.copy(EXAMPLE / name, folder)
    shutil.copy(Path(__file__).parent / "node" / "steps.mjs", folder)
    subprocess.run([program("npm"), "ci", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True)
    return folder


def program(name: str) -> str:
    """Where there is no Node the test is skipped; in CI it fails."""
    found = shutil.which(name)
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"there is no {name} here")
    assert found is not None
    return found


def credentials(stack: LocalStack) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": stack.access_key,
        "AWS_SECRET_ACCESS_KEY": stack.secret_key,
        "AWS_REGION": REGION,
        "CASCADE_API_URL": stack.api_url,
    }
