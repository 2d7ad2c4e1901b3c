"""The conditions of writes as the source says: every part of every condition, by module and place."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from mutants.mutant import PACKAGE

_CONDITIONS = ("exists", "not_exists", "eq", "ne", "lt", "lte", "gt", "gte", "between", "begins_with", "contains")


def places() -> list[str]:
    """The modules that name conditions of writes, below the package."""
    found = sorted((PACKAGE / "dynamodb").glob("*.py"))
    return [f"dynamodb/{path.name}" for path in found if conditions_in(path.read_text(encoding="utf-8"))]


def conditions_in(source: str) -> Counter[tuple[str, str]]:
    """Every part of a condition (an attribute and what is asked of it, or the name of a condition), and where."""
    found: Counter[tuple[str, str]] = Counter()
    for where, node in _by_function(ast.parse(source)):
        if _is_asked(node) or _is_part(node):
            found[where, ast.unparse(node)] += 1
        if isinstance(node, ast.BoolOp | ast.BinOp):
            found.update((where, ast.unparse(side)) for side in _named(node))
        if isinstance(node, ast.Call):
            found.update((where, ast.unparse(given)) for given in _given(node))
    return found


def _by_function(tree: ast.AST, where: str = "") -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(tree):
        name = child.name if isinstance(child, ast.FunctionDef | ast.ClassDef) else ""
        inner = ".".join(filter(None, (where, name)))
        yield inner, child
        yield from _by_function(child, inner)


def _is_asked(node: ast.AST) -> bool:
    """`Attr(…).eq(…)` and its like."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in _CONDITIONS:
        return False
    asked = node.func.value
    return isinstance(asked, ast.Call) and isinstance(asked.func, ast.Name) and asked.func.id == "Attr"


def _is_part(node: ast.AST) -> bool:
    """`fence(…)`, `stoppable(…)` and the like: a condition that a function makes."""
    made = ("fence", "stoppable", "_as_known", "_stays", "_unmoved")
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in made


def _named(node: ast.BoolOp | ast.BinOp) -> list[ast.AST]:
    """The named conditions that `&` and `|` put together."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.BitAnd | ast.BitOr):
        return []
    return [side for side in (node.left, node.right) if isinstance(side, ast.Name) and side.id.strip("_").isupper()]


def _given(call: ast.Call) -> list[ast.AST]:
    """The named conditions that a write is given whole."""
    writes = ("Put", "Update", "Check", "Delete")
    if not isinstance(call.func, ast.Name) or call.func.id not in writes:
        return []
    return [given for given in call.args if isinstance(given, ast.Name) and given.id.strip("_").isupper()]
