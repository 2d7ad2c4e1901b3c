"""What the source says of types, fields and constants: docstrings, also those that stand below a field or a name."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any


def of(owner: Any) -> str:
    """The docstring of a class or function as text, each paragraph on one line; empty where it has none of its own."""
    written = owner.__dict__.get("__doc__") if isinstance(owner, type) else owner.__doc__
    return text(written or "")


def text(docstring: str) -> str:
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join(paragraph if _is_list(paragraph) else " ".join(paragraph.split()) for paragraph in paragraphs)


def of_fields(owner: type) -> dict[str, str]:
    """What stands below each field of a class and of those that it is made of."""
    return {name: said for part in reversed(_parts(owner)) for name, said in _below(_body(part)).items()}


@cache
def of_names(module: ModuleType) -> dict[str, str]:
    """What stands below each name that a module assigns."""
    return _below(ast.parse(inspect.getsource(module)).body)


def _is_list(paragraph: str) -> bool:
    return paragraph.startswith("- ")


def _parts(owner: type) -> list[type]:
    """The class and its bases. A TypedDict keeps none, so that its source must say."""
    if not hasattr(owner, "__total__"):
        return [part for part in owner.__mro__ if part.__module__.startswith("cascade_flow")]
    module = inspect.getmodule(owner)
    named = [base.id for base in _class(owner).bases if isinstance(base, ast.Name)]
    bases = [base for name in named if hasattr(base := getattr(module, name), "__total__")]
    return [owner, *(part for base in bases for part in _parts(base))]


@cache
def _class(owner: type) -> ast.ClassDef:
    module = inspect.getmodule(owner)
    assert module is not None
    tree = ast.parse(inspect.getsource(module))
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner.__name__)


def _body(owner: type) -> list[ast.stmt]:
    return _class(owner).body


def _below(body: Iterable[ast.stmt]) -> dict[str, str]:
    return {
        name: text(said) for before, after in pairwise(body) if (name := _assigned(before)) and (said := _string(after))
    }


def _assigned(statement: ast.stmt) -> str:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return targets[0].id if isinstance(targets[0], ast.Name) else ""


def _string(statement: ast.stmt) -> str:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
