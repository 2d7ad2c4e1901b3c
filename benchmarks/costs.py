"""Writes docs/costs.md: what a step, a run and an idle month cost on AWS, by a formula, counted units and list prices.

A test holds the committed page against what is counted: `make docs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import idle, prices
from benchmarks.contract import write
from benchmarks.prices import CHAIN_MS, IN_A_LAMBDA, NOTHING, THROUGH_THE_QUEUE, Around, table_dollars
from budgets import children, measures
from budgets.figures import Figure
from cascade_flow.dynamodb import schema
from cascade_flow.testing.memory.sizes import item_size
from shapes import chain
from testbed.servers import MemoryServer, Store, fresh_table

PATH = Path(__file__).parents[1] / "docs" / "costs.md"
STEPS = 10
_IN_A_BATCH_OF_20 = Around(
    queue_requests=THROUGH_THE_QUEUE.queue_requests / 20,
    invocations=THROUGH_THE_QUEUE.invocations / 20,
    lambda_ms=CHAIN_MS + THROUGH_THE_QUEUE.lambda_ms / 20,
)
_HAPPENINGS: Sequence[tuple[Callable[[Store], Figure], Around]] = (
    (measures.chained, IN_A_LAMBDA),
    (measures.queued, THROUGH_THE_QUEUE),
    (measures.fan_out, THROUGH_THE_QUEUE),
    (measures.retry, THROUGH_THE_QUEUE),
    (measures.delayed, NOTHING),
    (measures.later, THROUGH_THE_QUEUE),
    (measures.one_branch, THROUGH_THE_QUEUE),
    (measures.heartbeat, NOTHING),
    (measures.limited, THROUGH_THE_QUEUE),
    (measures.limited_waiting, THROUGH_THE_QUEUE),
    (measures.limited_heartbeat, NOTHING),
    (measures.tick, NOTHING),
    (children.child, THROUGH_THE_QUEUE),
    (children.batched, _IN_A_BATCH_OF_20),
)
_PRICES = {
    "write": f"{prices.WRITE_UNIT:g}",
    "read": f"{prices.READ_UNIT:g}",
    "queue": f"{prices.QUEUE_REQUEST:g}",
    "invocation": f"{prices.INVOCATION:g}",
    "time": f"{prices.GIGABYTE_SECOND:g}",
    "http": f"{prices.HTTP_REQUEST:g}",
    "chain_ms": prices.CHAIN_MS,
    "hop_ms": prices.HOP_MS,
    "memory": f"{prices.MEMORY_GB:g}",
}
HEAD = """# What it costs

On AWS, by list prices (us-east-1, autumn 2026, arm64, on demand, free tiers left out). This page is generated from
counted requests (`make docs`), and a test fails where it is no longer true. The time that your own code runs is not in
it: that is Lambda's price for the worker's memory, as without an engine.

## The formula

    dollars of a million = write units x {write} + read units x {read}
                         + requests to the queue x {queue} + invocations x {invocation}
                         + GB-seconds of the engine's own work x {time}
                         + requests over HTTP x {http}

A write unit is 1 KB of the larger of the old and the new image, two in a transaction, and one for each index that has
to follow. Of the engine's own work we reckon {chain_ms} ms for a step that is chained and {hop_ms} ms for one
that comes through the queue, at {memory} GB.

## What happens

Steps with an output of some 100 bytes, all optional fields filled. A larger output adds a write unit per KB packed,
above 32 KB a request to S3 ($5 per million stored, $0.40 per million read) instead.
"""


def page(server: MemoryServer) -> str:
    """The whole page."""
    parts = [HEAD.format(**_PRICES).strip(), _table(_HAPPENS, _happening(server))]
    with fresh_table(server, schema.create_table) as store:
        found = idle.posts(store)
    parts += [_IDLE.strip(), _table(("what", "a month", "dollars"), _idle_rows(found))]
    first = sum(post.dollars_of_the_first for post in found)
    parts.append(_REST.format(**_stored(server), first=f"{first:.2f}").strip())
    return "\n\n".join(parts) + "\n"


_HAPPENS = ("what", "write units", "read units", "queue", "table, $ per million", "all, $ per million")
_IDLE = """## An idle month

Nothing waits and nothing runs, and these go on:
"""
_REST = """
The first ten alarms, three dashboards and a million requests to queues of an account are free, so the first stack
costs ${first} a month. What is only charged when work is done: metrics of the engine's own ($0.30 a month for each that
was sent in it, by the hour), its log ($0.50 per GB), traces where `Tracing` is on ($5 per million).

## What is stored

A finished run of {steps} steps is {bytes} bytes. A GB in the table costs $0.25 a month and $0.20 for its backups to any
point in time, until `RetentionDays` after the run's deadline; in the bucket $0.023.

## What makes it cheaper

- A chain rather than single steps: what follows in the same worker costs a third of what goes through the queue.
- Fewer heartbeats: each is a write. A step that ends before its first heartbeat (`HeartbeatMs`) costs none.
- Smaller outputs: above 1 KB packed, each KB is paid whenever the branch is written.
- Where nobody uses priorities, `UrgentConcurrency` 0: a queue less to ask.
- Alarms and the dashboard cost more than the idle engine: leave out what nobody looks at.
"""


def _happening(server: MemoryServer) -> Iterator[tuple[str, ...]]:
    for measure, around in _HAPPENINGS:
        figure = measures.measured(server, measure)
        spent, table = figure.spent, table_dollars(figure.spent)
        units = (f"{spent.write_units:.2f}", f"{spent.read_units:.2f}", f"{around.queue_requests:g}")
        yield (figure.budget.what, *units, f"{table:.2f}", f"{table + around.dollars:.2f}")


def _idle_rows(found: Sequence[idle.Post]) -> Iterator[tuple[str, ...]]:
    for post in found:
        yield (post.what, f"{post.number:,.0f}", f"{post.dollars:.2f}")
    yield ("**together**", "", f"**{sum(post.dollars for post in found):.2f}**")


def _stored(server: MemoryServer) -> dict[str, str]:
    with fresh_table(server, schema.create_table) as store:
        return {"steps": str(STEPS), "bytes": f"{_bytes_of_a_run(store):,}"}


def _bytes_of_a_run(store: Store) -> int:
    """Of the run and all that happened in it, indexes and idempotency key left out."""
    with measures.metered(store, chain(STEPS), chained=True) as (world, _):
        measures.finished(world)
    items = store.client.scan(TableName=store.table, ConsistentRead=True)["Items"]
    return sum(item_size(item) for item in items if item["pk"]["S"].startswith("R#"))


def _table(head: Sequence[str], rows: Iterator[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def outdated(server: MemoryServer) -> list[str]:
    """What is true and isn't written."""
    written = PATH.read_text(encoding="utf-8").splitlines()
    return [line for line in page(server).splitlines() if line not in written]


if __name__ == "__main__":
    write(PATH, page)
