"""Runs the emulator, and makes up for what it does otherwise: its schedules know only minutes, so the reaper is called
from here every few seconds; it wants a permission that AWS has no word for; it unpacks layers for each process anew.

A script of its own, run by the emulator's interpreter: it can import nothing of this project. It prints the pid that it
goes on with, detached from whoever started it. The emulator and the calls end together.
Arguments: the log's path, the port, the reaper's function name, the milliseconds between two calls.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import runpy
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def detach(log: str) -> None:
    """Go on as another process that leads a session of its own, and that speaks to the log."""
    if os.fork():
        os._exit(0)
    os.setsid()
    print(os.getpid(), flush=True)
    with open(log, "wb") as output:
        os.dup2(output.fileno(), sys.stdout.fileno())
        os.dup2(output.fileno(), sys.stderr.fileno())


def call_reaper(endpoint_url: str, name: str, every_ms: int) -> None:
    """Call the function for ever, one call after the other; until it is deployed there is nothing to call."""
    client = boto3.client(
        "lambda",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    pause = threading.Event()
    while not pause.wait(every_ms / 1000):
        try:
            client.invoke(FunctionName=name, Payload=b'{"source": "cascade.local"}')
        except (BotoCoreError, ClientError):
            continue


def grant_batches() -> None:
    """Let who may send a message send a batch of them: for AWS these are one action, for the emulator two."""
    permissions: Any = importlib.import_module("ministack.core.iam_actions")
    asked = permissions.extract_iam_action

    def granted(*args: Any, **kwargs: Any) -> Any:
        action = asked(*args, **kwargs)
        return "sqs:SendMessage" if action == "sqs:SendMessageBatch" else action

    permissions.extract_iam_action = granted


def unpack_layers_once() -> None:
    """Unpack a layer when first it is asked for, and link to that from then on: most of a cold start would be this."""
    unpack = zipfile.ZipFile.extractall
    cache = Path(tempfile.gettempdir()) / "layers"
    one_at_a_time = threading.Lock()

    def unpacked(archive: zipfile.ZipFile, path: Any = None, *rest: Any) -> None:
        if archive.filename is None or not Path(path or ".").name.startswith("layer_"):
            unpack(archive, path, *rest)
            return
        with one_at_a_time:
            place = cache / hashlib.sha256(Path(archive.filename).read_bytes()).hexdigest()
            if not place.exists():
                unpack(archive, place.with_suffix(".new"), *rest)
                place.with_suffix(".new").rename(place)
        for part in place.iterdir():
            (Path(path) / part.name).symlink_to(part)

    setattr(zipfile.ZipFile, "extractall", unpacked)  # noqa: B010


def main(log: str, port: str, reaper: str, every_ms: str) -> None:
    detach(log)
    arguments = (f"http://127.0.0.1:{port}", reaper, int(every_ms))
    threading.Thread(target=call_reaper, args=arguments, name="reaper", daemon=True).start()
    grant_batches()
    unpack_layers_once()
    sys.argv = ["ministack"]
    runpy.run_module("ministack", run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
