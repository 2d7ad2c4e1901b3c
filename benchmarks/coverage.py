"""Which tests of the contract call which operation: read off their source, through the hands and fixtures they use."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SUITE = Path(__file__).parents[1] / "tests" / "contract"
HANDS = ("outside", "called")
"""The modules of the suite that call operations on behalf of its tests."""


@dataclass(frozen=True)
class ContractTest:
    """A test, the operations that its own text names, and all that it reaches."""

    name: str
    named: frozenset[str]
    reached: frozenset[str]


def calling(operation: str, tests: Iterable[ContractTest]) -> list[str]:
    """The tests that call an operation: those that name it first, and of these those that call the least else."""
    reaching = [test for test in tests if operation in test.reached]
    return [test.name for test in sorted(reaching, key=lambda test: (operation not in test.named, len(test.reached)))]


def contract_tests(operations: frozenset[str]) -> list[ContractTest]:
    """Every test of the suite, module by module, in the order of their lines."""
    hands = {name: found for module in HANDS for name, found in _definitions(SUITE / f"{module}.py").items()}
    return [test for path in sorted(SUITE.glob("test_*.py")) for test in _tests(path, hands, operations)]


def _tests(path: Path, hands: Mapping[str, set[str]], operations: frozenset[str]) -> Iterator[ContractTest]:
    own = _definitions(path)
    for name in own:
        if name.startswith("test_"):
            reached = _reached(name, {**hands, **own})
            yield ContractTest(
                f"{path.stem}::{name}", frozenset(own[name] & operations), frozenset(reached & operations)
            )


def _reached(name: str, definitions: Mapping[str, set[str]]) -> set[str]:
    """All names that a definition leads to."""
    found, left = set[str](), {name}
    while left:
        found |= left
        left = {further for each in left for further in definitions.get(each, ())} - found
    return found


def _definitions(path: Path) -> dict[str, set[str]]:
    """The functions, methods and constants of a module, with the names that each refers to."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, set()).update(_names(node))
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.col_offset == 0:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: set(_names(node)) for target in targets if isinstance(target, ast.Name)}
    return found


def _names(definition: ast.AST) -> Iterator[str]:
    """What it calls or mentions, the fixtures that it takes, and the texts that may be names."""
    for node in ast.walk(definition):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute) and not _is_field(node):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _is_field(node: ast.Attribute) -> bool:
    """Whether an attribute is only looked at, and that of no class: `state.status`, unlike `Outside.fail`."""
    owner = node.value.id if isinstance(node.value, ast.Name) else ""
    return node.attr in ("status", "name", "backend", "slug") and not owner.istitle()
