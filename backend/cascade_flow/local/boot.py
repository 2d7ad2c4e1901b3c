"""Runs the emulator, and calls the reaper every few seconds beside it: the emulator's own schedules know only minutes.

A script of its own, run by the emulator's interpreter: it can import nothing of this project. It prints the pid that it
goes on with, detached from whoever started it. The emulator and the calls end together.
Arguments: the log's path, the port, the reaper's function name, the milliseconds between two calls.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading

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


def main(log: str, port: str, reaper: str, every_ms: str) -> None:
    detach(log)
    arguments = (f"http://127.0.0.1:{port}", reaper, int(every_ms))
    threading.Thread(target=call_reaper, args=arguments, name="reaper", daemon=True).start()
    sys.argv = ["ministack"]
    runpy.run_module("ministack", run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
