"""How the figures look on a screen of 120 columns: a title, a line that explains, a table. Nothing is counted here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from benchmarks.cold import Cold
from benchmarks.prices import PEERS, Around, table_dollars
from benchmarks.speed import Speed
from budgets.figures import HEAD, Figure, Spent, aligned, cells, table_of
from budgets.growth import Trend
from budgets.operations import Case
from specification import operations

Priced = tuple[Figure, str, Around]
"""A figure, what peers call it, and what it needs beside the table."""


def of_promises(figures: Sequence[Figure]) -> str:
    """The first table."""
    return _titled(
        "What design.md promises",
        "Averages over real runs with all optional fields filled; what was counted, of what is allowed.",
        table_of(figures),
    )


def of_prices(priced: Sequence[Priced]) -> str:
    """The same in dollars."""
    names = [peer.name.rpartition(" ") for peer in PEERS]
    head = [("", "", "", *(first for first, _, _ in names)), ("", "table", "all in", *(last for _, _, last in names))]
    return _titled(
        "Dollars per million",
        "DynamoDB's part; all that the engine needs (queue, Lambda's time); what peers charge, their workers left out.",
        aligned([*head, *(_price(*each) for each in priced)]),
    )


def of_operations(counted: Sequence[tuple[Case, Figure]]) -> str:
    """Every operation, in the specification's groups."""
    groups = {operation.name: operation.group for operation in operations()}
    blank = ("",) * (len(HEAD) + 2)
    rows: list[tuple[str, ...]] = [("operation", "driver", "counted at", *HEAD[1:])]
    for group, members in groupby(counted, key=lambda each: groups[each[0].operation]):
        rows += [blank, (f"-- {group}", *blank[1:]), *_rows(members)]
    return _titled(
        "What each operation of the contract costs",
        "One call, in a process that has worked before. Without a driver: about no run, or about runs of both.",
        aligned(rows, left=3),
    )


def of_growth(trends: Sequence[Trend]) -> str:
    """What does not grow with what is stored, and what does."""
    stored = [f"{number:,}" for number in trends[0].spent]
    rows = [(trend.what, *map(_sum, trend.spent.values()), _verdict(trend)) for trend in trends]
    return _titled(
        "What it costs beside ever more finished runs",
        "Requests / units at 20 live runs, with so many finished ones stored; only a total may grow: it is counted.",
        aligned([("", *stored, "growth"), *rows]),
    )


def of_speed(measured: Sequence[Speed]) -> str:
    """How long whole runs take, beside a floor."""
    head = ("", "seconds", "the floor's", "times the floor", "the client's part", "wanted", "steps a second")
    rows = [
        (
            each.name,
            f"{each.ours.passed_s:.3f}",
            f"{each.floor.passed_s:.3f}",
            f"{each.ratio:.2f}",
            f"{each.processor_ratio:.2f}",
            f"{each.wanted:.2f}",
            f"{each.steps / each.ours.passed_s:.0f}",
        )
        for each in measured
    ]
    return _titled(
        "Speed",
        "Medians, in one process, on an emulator in another; the ratios hold. The client's part is processor time.",
        aligned([head, *rows]),
    )


def of_reports(figures: Sequence[Figure]) -> str:
    """What a report costs for the first time, and again."""
    return _titled(
        "Reports over runs that have ended",
        "Each run is read once for ever; what was counted, of what is allowed.",
        table_of(figures),
    )


def of_processor_time(measured: Sequence[Cold]) -> str:
    """What a step and what cold starts take of the processor."""
    rows = [(each.name, f"{each.ratio:.2f}", f"{each.budget:.2f}") for each in measured]
    return _titled(
        "Processor time beside boto3",
        "Import and first call of each function beside boto3.client('dynamodb') alone: the least of several processes.",
        aligned([("", "times boto3's", "allowed"), *rows]),
    )


def _titled(title: str, explanation: str, table: str) -> str:
    return f"{title}\n{'=' * len(title)}\n{explanation}\n\n{table}\n"


def _rows(counted: Iterator[tuple[Case, Figure]]) -> Iterator[tuple[str, ...]]:
    before = ""
    for case, figure in counted:
        name = "" if case.operation == before else case.operation
        numbers = ("-" if cell == "0 of 0" else cell for cell in cells(figure, "g"))
        yield (name, case.driver, case.at, *numbers)
        before = case.operation


def _price(figure: Figure, kind: str, around: Around) -> tuple[str, ...]:
    table = table_dollars(figure.spent)
    peers = (peer.charges(kind) for peer in PEERS)
    ours = (f"{table:.2f}", f"{table + around.dollars:.2f}")
    return (figure.budget.what, *ours, *("-" if price is None else f"{price:.0f}" for price in peers))


def _sum(spent: Spent) -> str:
    return f"{spent.write_requests + spent.reads:g} / {spent.write_units + spent.read_units:g}"


def _verdict(trend: Trend) -> str:
    return f"{trend.growth:+.0%}" if trend.is_promised else "counted"
