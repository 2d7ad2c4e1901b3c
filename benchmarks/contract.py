"""Writes docs/contract.md: every operation of the specification, where it lives, what it costs, which tests call it.

All of it is read off the code or counted, so a test can hold the committed page against it: `make docs`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.coverage import ContractTest, calling, contract_tests
from benchmarks.delegation import errors_of, home_of
from budgets.counting import counted
from budgets.figures import Figure, Spent
from budgets.operations import Case
from cascade_flow import Backend, DynamoDBBackend
from specification import Operation, operations
from testbed.servers import MemoryServer

PATH = Path(__file__).parents[1] / "docs" / "contract.md"
SHOWN = 2
"""Tests that are named; a reader finds the others beside them."""
HEAD = """# The contract

Every operation of [the specification](backend.pyi), in its order. This page is generated (`make docs`), and a test
fails where it is no longer true.

- **Mark**: [1] is in release 0.1.0 of the specification, [2] in a later one, [+] is this project's own. D: refused with
  EngineDrivenError on a run that this project's engine drives.
- **Lives in**: the module below `backend/cascade_flow` and the use case there that the operation delegates to.
- **Cost** of one call, counted from real requests in a process that has worked before: requests that write and their
  units, requests that read and theirs. "engine" and "caller" say who drives the run. The budgets are in
  `tests/budgets/operations.py`; `make bench` prints both, and what does not grow with what is stored.
- **Tests**: of `tests/contract`, those that name the operation and call the least else come first.

Every operation looks at its arguments first, and raises ArgumentInvalidError for what is not of the type or range that
its signature names, with all that is wrong. It may also raise BackendUnavailableError, ThrottledError, ConflictError
(others write to the same items all the time) and ConfigurationError (the table or the credentials).
"""


def page(server: MemoryServer) -> str:
    """The whole page."""
    figures = counted(server)
    tests = contract_tests(frozenset(operation.name for operation in operations()))
    backend = DynamoDBBackend("any", client=server.dynamodb())
    parts = [HEAD.strip()]
    for group, members in groupby(operations(), key=lambda operation: operation.group):
        rows = [_row(operation, backend, figures, tests) for operation in members]
        table = [_line(*_TITLES), _line(*["---"] * len(_TITLES)), *rows]
        parts.append(f"## {group.capitalize()}\n\n" + "\n".join(table))
    return "\n\n".join(parts) + "\n"


_TITLES = ("Operation", "Mark", "Lives in", "Errors", "Cost", "Tests")


def _row(
    operation: Operation, backend: Backend, figures: Sequence[tuple[Case, Figure]], tests: Sequence[ContractTest]
) -> str:
    method = getattr(Backend, operation.name)
    names = calling(operation.name, tests)
    return _line(
        f"`{_signature(operation)}`",
        operation.marks + (" D" if operation.is_refused else ""),
        f"`{home_of(backend, operation.name)}`",
        ", ".join(errors_of(method)),
        "<br>".join(_cost(case, figure.spent) for case, figure in figures if case.operation == operation.name),
        "<br>".join([*(f"`{name}`" for name in names[:SHOWN]), *(["and more"] if len(names) > SHOWN else [])]),
    )


def _signature(operation: Operation) -> str:
    """The call in short: what must be given, and that more may be."""
    return f"{operation.name}({', '.join(_arguments(operation))})"


def _arguments(operation: Operation) -> Iterator[str]:
    _, *parameters = inspect.signature(operation.function).parameters.values()
    required = [each for each in parameters if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
    named = [each for each in required if each.kind is each.KEYWORD_ONLY]
    yield from (each.name for each in required if each not in named)
    if named:
        yield "*"
        yield from (each.name for each in named)
    if len(required) < len(parameters):
        yield "…"


def _cost(case: Case, spent: Spent) -> str:
    writes = _requests(spent.write_requests, "write", spent.write_units)
    reads = _requests(spent.reads, "read", spent.read_units)
    when = ", ".join(part for part in (case.driver, case.at) if part)
    return f"{when}: " * bool(when) + (", ".join(part for part in (writes, reads) if part) or "nothing")


def _requests(number: float, name: str, units: float) -> str:
    return f"{number:g} {name}{'s' * (number != 1)} = {units:g} u" if number else ""


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def write(path: Path, page: Callable[[MemoryServer], str]) -> None:
    """Write a page of what is counted on a server of its own."""
    server = MemoryServer()
    server.start()
    path.write_text(page(server), encoding="utf-8")


if __name__ == "__main__":
    write(PATH, page)
