"""Counts every figure that has a budget, on the tables of this process, and prints it beside its budget and prices.

Ends with 1 where a budget is exceeded, and says which. Nothing that has a budget is measured in seconds; what is
processor time is told beside that of boto3 in the same run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import cold, costs, recovery, tables
from benchmarks.prices import IN_A_LAMBDA, NOTHING, THROUGH_THE_QUEUE, Around
from benchmarks.report import Report
from budgets import children, measures
from budgets.counting import counted
from budgets.figures import Figure, Spent
from budgets.growth import Trend, cost_of_looking, trends
from budgets.recovery import recovery as recovered
from cascade_flow.dynamodb import schema
from testbed.servers import MemoryServer, Store, fresh_table


@dataclass(frozen=True)
class Promise:
    """Something that is counted: what peers call it (empty: none has it), what it needs beside the table."""

    measure: Callable[[Store], Figure]
    kind: str = ""
    around: Around = NOTHING


PROMISES = (
    Promise(measures.chained, "step", IN_A_LAMBDA),
    Promise(measures.queued, "step", THROUGH_THE_QUEUE),
    Promise(measures.fan_out, "step", THROUGH_THE_QUEUE),
    Promise(partial(measures.fan_in, width=1_000)),
    Promise(measures.retry, "retry", THROUGH_THE_QUEUE),
    Promise(measures.delayed),
    Promise(measures.later),
    Promise(measures.heartbeat, "heartbeat"),
    Promise(measures.tick),
    Promise(children.child),
    Promise(children.batched),
    Promise(measures.one_branch, "run", THROUGH_THE_QUEUE),
    Promise(measures.get_run),
    Promise(measures.told),
)
STORED = (100, 1_000, 10_000)
STORED_IN_FULL = (*STORED, 100_000)
OUTAGE, OUTAGE_IN_FULL = 10_000, 100_000
"""Live branches whose wake-ups are lost."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Answers the exit code."""
    wanted = _wanted(arguments)
    server = MemoryServer()
    server.start()
    promises = _promises(server)
    print(tables.of_promises(promises))
    priced = [(figure, promise.kind, promise.around) for figure, promise in zip(promises, PROMISES, strict=True)]
    print(tables.of_prices(priced), flush=True)
    operations = counted(server)
    print(tables.of_operations(operations), flush=True)
    report = Report(promises, operations, _growth(server, STORED_IN_FULL if wanted.full else STORED))
    print(tables.of_growth(report.trends), flush=True)
    if wanted.json:
        wanted.json.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
    outage = recovered(OUTAGE_IN_FULL if wanted.full else OUTAGE)
    print(recovery.table_of(outage, recovery.computed()), flush=True)
    beside = [cold.chained_step(), *cold.cold_starts()]
    print(tables.of_processor_time(beside), flush=True)
    slower = [f"{each.name}: {each.ratio:.2f}" for each in beside if each.is_exceeded]
    exceeded, outdated = [*report.exceeded, *recovery.exceeded(outage), *slower], costs.outdated(server)
    for excess in exceeded:
        print(f"ABOVE BUDGET: {excess}", file=sys.stderr)
    for line in outdated:
        print(f"NOT IN docs/costs.md (make docs): {line}", file=sys.stderr)
    return 1 if exceeded or outdated else 0


def _wanted(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench",
        description="Count what every operation costs, in requests and units, beside its budget.",
        epilog='With make, options go into ARGS: make bench ARGS="--full --json costs.json"',
    )
    parser.add_argument("--full", action="store_true", help="100,000 finished runs and live branches, not 10,000")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures into a file, for programs")
    return parser.parse_args(arguments)


def _promises(server: MemoryServer) -> list[Figure]:
    figures = []
    for promise in PROMISES:
        with fresh_table(server, schema.create_table) as store:
            figures.append(promise.measure(store))
    return figures


def _growth(server: MemoryServer, stored: Sequence[int]) -> list[Trend]:
    return trends({number: _cost(server, number) for number in stored})


def _cost(server: MemoryServer, number: int) -> dict[str, Spent]:
    def tell(stored: int) -> None:
        print(f"\rstoring finished runs: {stored:,} of {number:,}", end="", file=sys.stderr, flush=True)

    with fresh_table(server, schema.create_table) as store:
        spent = dict(cost_of_looking(store, stored=number, progress=tell))
    print(file=sys.stderr)
    return spent


if __name__ == "__main__":
    sys.exit(main())
