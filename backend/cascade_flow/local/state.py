"""What is known of the local stack between two commands: one small file, written whole.

It says what was started, never that it still runs: whoever needs that asks the emulator. It holds the stack's secret,
so nobody but its owner can read it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

STATE_FILE = "local.json"
REGION = "us-east-1"


@dataclass(frozen=True)
class LocalStack:
    """A local stack: its emulator's process, where it answers, and what was deployed to it.

    `pid` leads a process group that holds the emulator and every function's process. `access_key` and `secret_key` are
    its owner's, made for this stack alone; they are empty where a version started it that checked no signature. Without
    `outputs` it was never whole; without a `fingerprint` the last deployment didn't end well, or hasn't ended.
    """

    pid: int
    port: int
    stack_name: str
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    fingerprint: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def endpoint_url(self) -> str:
        """Where the emulator answers as every AWS service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """Where the deployed API answers; requests are signed as for AWS, with the stack's key.

        Not the host name that the emulator gives the API: not every machine resolves names under localhost.
        """
        return f"{self.endpoint_url}/_aws/execute-api/{self.outputs.get('ApiId', '')}"

    def deploying(self) -> LocalStack:
        """The stack while nobody knows what is deployed to it; what it had goes on answering."""
        return replace(self, fingerprint="")

    def deployed(self, fingerprint: str, outputs: Mapping[str, str]) -> LocalStack:
        return replace(self, fingerprint=fingerprint, outputs=dict(outputs))


def read(home: Path) -> LocalStack | None:
    """The stack that was last started here. None where there is none, or the file makes no sense."""
    try:
        fields: dict[str, Any] = json.loads((home / STATE_FILE).read_text(encoding="utf-8"))
        return LocalStack(**fields)
    except (OSError, ValueError, TypeError):
        return None


def write(home: Path, stack: LocalStack) -> None:
    """Remember the stack, so that no reader ever sees half a file, and nobody else sees any of it."""
    home.mkdir(parents=True, exist_ok=True)
    fresh = home / f"{STATE_FILE}.new"
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(stack), indent=2) + "\n")
    fresh.replace(home / STATE_FILE)


def forget(home: Path) -> None:
    (home / STATE_FILE).unlink(missing_ok=True)
