"""Races between real processes: N of them run one function at the same moment against a server behind a socket.

The function must be importable (top level of a module); `functools.partial` gives it further arguments. What must hold
afterwards is the test's matter. Interleavings of threads in one process are `turnstile`'s.
"""

import multiprocessing
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from botocore.config import Config
from mypy_boto3_dynamodb import DynamoDBClient

from cascade_flow.aws.opening import Transport
from testbed.outcome import Outcome
from testbed.servers import Store, connect, leanly

START_SECONDS = 60
PATIENCE_SECONDS = 300


class Died(Exception):
    """The process ended without an answer; its exit code is the message (-9: killed)."""


@dataclass(frozen=True)
class Lane:
    """What one racing process gets: its number, how many race, and where the table is."""

    number: int
    of: int
    endpoint_url: str
    table: str
    transport: Transport = "lean"

    def product(self) -> Any:
        """A client of this process, as the product has it."""
        return self.dynamodb() if self.transport == "boto3" else leanly("dynamodb", self.endpoint_url)

    def dynamodb(self, config: Config | None = None) -> DynamoDBClient:
        """A client of this process."""
        client: DynamoDBClient = connect("dynamodb", self.endpoint_url, config)
        return client


Run = Callable[[Lane], Any]


def race(run: Run, store: Store, *, processes: int = 4) -> list[Outcome]:
    """Let so many processes start `run` at once; how each ended, in the order of their lanes.

    The product asks as `Server.asked_by` says.
    """
    endpoint_url = store.server.endpoint_url
    if not store.server.serves_processes or not endpoint_url:
        raise ValueError(f"{store.server.name} lives in one process: race on ministack-http or dynamodb-local.")
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(processes)
    by = store.server.asked_by or "lean"
    lanes = [Lane(number, processes, endpoint_url, store.table, by) for number in range(processes)]
    racing: list[tuple[BaseProcess, Connection]] = []
    for lane in lanes:
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(run, lane, start, theirs), daemon=True)
        process.start()
        theirs.close()
        racing.append((process, mine))
    return [_outcome(process, answer) for process, answer in racing]


def _run(run: Run, lane: Lane, start: threading.Barrier, answer: Connection) -> None:
    lane.dynamodb().describe_table(TableName=lane.table)  # imports and connections are made before the start
    start.wait(START_SECONDS)
    try:
        outcome = Outcome(value=run(lane))
    except BaseException as raised:  # noqa: BLE001 - told to the parent process, which decides
        outcome = Outcome(raised=raised)
    answer.send(outcome)


def _outcome(process: BaseProcess, answer: Connection) -> Outcome:
    try:
        if not answer.poll(PATIENCE_SECONDS):
            process.kill()
        outcome: Outcome = answer.recv()
    except EOFError:
        process.join()
        return Outcome(raised=Died(f"exit code {process.exitcode}"))
    finally:
        answer.close()
    process.join()
    return outcome
