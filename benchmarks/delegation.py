"""Where the operations of the contract live: found in the code that delegates, never written down by hand."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from textwrap import dedent
from types import ModuleType
from typing import Any

from cascade_flow.testing.memory.direct_client import DirectClient

PACKAGE = "cascade_flow."


def home_of(backend: Any, operation: str) -> str:
    """The use case that an operation delegates to: its module below the package, and its name there."""
    method = getattr(type(backend), operation)
    [function] = ast.parse(dedent(inspect.getsource(method))).body
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    mine = [call for call in calls if _is_use_case(call)]
    return _home(mine[-1] if mine else calls[0], backend, sys.modules[method.__module__])


def errors_of(operation: Callable[..., object]) -> list[str]:
    """The errors that a docstring's sentence `Raises …` names, in its order."""
    _, _, raised = (inspect.getdoc(operation) or "").partition("Raises ")
    words = (word.strip("`(),;.:") for word in raised.split())
    return list(dict.fromkeys(word for word in words if word.endswith("Error")))


def _is_use_case(call: ast.expr) -> bool:
    """Whether something is asked of a use case that the backend holds, as in `self._runs.submit`."""
    path = list(_path(call))
    return len(path) == 3 and path[0] == "self" and path[1].startswith("_")


def _home(call: ast.expr, backend: Any, module: ModuleType) -> str:
    """A client is whoever's the table was given; that of a test is no part of the product."""
    first, *rest = _path(call)
    found: Any = backend if first == "self" else vars(module)[first]
    module_name, path = "", [first]
    for name in rest:
        if type(found).__module__.startswith(PACKAGE) and not isinstance(found, DirectClient):
            module_name, path = type(found).__module__, [type(found).__name__]
        found = getattr(found, name)
        path.append(name)
    if inspect.isfunction(found):
        module_name, path = found.__module__, [found.__name__]
    return f"{module_name.removeprefix(PACKAGE).replace('.', '/')}: {'.'.join(path)}"


def _path(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        yield from _path(node.value)
        yield node.attr
    elif isinstance(node, ast.Name):
        yield node.id
