"""Counts every figure that has a budget, on MiniStack in this process, and prints it beside prices.

Ends with 1 where a budget is exceeded. Nothing here is measured in seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.prices import IN_A_LAMBDA, NOTHING, PEERS, THROUGH_THE_QUEUE, Around, table_dollars
from budgets import measures
from budgets.figures import GROWTH, Figure, Spent, aligned, grown, table_of
from budgets.growth import cost_of_looking
from cascade_flow.dynamodb import schema
from testbed.servers import MiniStack, Store, fresh_table


@dataclass(frozen=True)
class Operation:
    """Something that is counted: what peers call it (empty: none has it), what it needs beside the table."""

    measure: Callable[[Store], Figure]
    kind: str = ""
    around: Around = NOTHING


OPERATIONS = (
    Operation(measures.chained, "step", IN_A_LAMBDA),
    Operation(measures.queued, "step", THROUGH_THE_QUEUE),
    Operation(measures.fan_out, "step", THROUGH_THE_QUEUE),
    Operation(partial(measures.fan_in, width=1_000)),
    Operation(measures.retry, "retry", THROUGH_THE_QUEUE),
    Operation(measures.heartbeat, "heartbeat"),
    Operation(measures.one_branch, "run", THROUGH_THE_QUEUE),
    Operation(measures.get_run),
)
LITTLE, MUCH = 100, 2_000


def main() -> int:
    """Answers the exit code."""
    server = MiniStack()
    server.start()
    figures = [_on_a_fresh_table(server, operation.measure) for operation in OPERATIONS]
    print(table_of(figures))
    print(f"\nDollars per million\n{_prices(figures)}")
    growth = _growth(server)
    print(f"\nGrowth of what looks at live runs, from {LITTLE} to {MUCH:,} finished runs")
    print("\n".join(f"{look}: {share:+.0%}" for look, share in growth.items()))
    exceeded = [f"{figure.budget.what}: {limit}" for figure in figures for limit in figure.exceeded]
    exceeded += [f"{look} grows by {share:.0%}" for look, share in growth.items() if share > GROWTH]
    for excess in exceeded:
        print(f"ABOVE BUDGET: {excess}", file=sys.stderr)
    return 1 if exceeded else 0


def _on_a_fresh_table(server: MiniStack, measure: Callable[[Store], Figure]) -> Figure:
    with fresh_table(server, schema.create_table) as store:
        return measure(store)


def _prices(figures: Sequence[Figure]) -> str:
    head = ("", "table", "all in", *(peer.name for peer in PEERS))
    rows = [_price(operation, figure) for operation, figure in zip(OPERATIONS, figures, strict=True)]
    return aligned([head, *rows])


def _price(operation: Operation, figure: Figure) -> tuple[str, ...]:
    table = table_dollars(figure.spent)
    peers = (peer.charges(operation.kind) for peer in PEERS)
    ours = (f"{table:.2f}", f"{table + operation.around.dollars:.2f}")
    return (figure.budget.what, *ours, *("-" if price is None else f"{price:.0f}" for price in peers))


def _growth(server: MiniStack) -> dict[str, float]:
    def cost(stored: int) -> dict[str, Spent]:
        with fresh_table(server, schema.create_table) as store:
            return dict(cost_of_looking(store, stored=stored))

    before, after = cost(LITTLE), cost(MUCH)
    return {look: grown(before[look], after[look]) for look in before}


if __name__ == "__main__":
    sys.exit(main())
