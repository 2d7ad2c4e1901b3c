"""Nothing is big, nothing is without a reason that it names, and no drawer is called `utils`."""

from __future__ import annotations

import ast
from statistics import median

from architecture.house import MODULES, Function, Module, each

MODULE_LINES = 400
HANDLER_LINES = 60
FUNCTION_LINES = 40
MEDIAN_FUNCTION_LINES = 8
PUBLIC_METHODS = 15
CONTRACT = "cascade_flow.backend"
DRAWERS = ("util", "helper", "common", "manager", "misc")


def lines_of(function: Function) -> int:
    """The lines of a function, its docstring left out."""
    whole = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    documented = ast.get_docstring(function, clean=False) is not None
    return whole - ((first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0)


def statements_of(function: Function) -> int:
    return len(function.body) - (ast.get_docstring(function) is not None)


def public_methods(owner: ast.ClassDef) -> list[Function]:
    return [node for node in owner.body if isinstance(node, Function) and not node.name.startswith("_")]


@each(MODULES)
def test_a_module_fits_on_a_few_pages(module: Module) -> None:
    limit = HANDLER_LINES if module.is_handler else MODULE_LINES
    assert len(module.text.splitlines()) <= limit


@each(MODULES)
def test_a_module_says_why_it_exists(module: Module) -> None:
    assert ast.get_docstring(module.tree), f"{module} has no docstring"


@each(MODULES)
def test_a_function_fits_on_a_screen(module: Module) -> None:
    big = {function.name: lines_of(function) for function in module.functions}
    assert not {name: lines for name, lines in big.items() if lines > FUNCTION_LINES}


@each([module for module in MODULES if module.name != CONTRACT])
def test_a_class_has_one_subject(module: Module) -> None:
    counts = {owner.name: len(public_methods(owner)) for owner in module.classes}
    assert not {name: count for name, count in counts.items() if count > PUBLIC_METHODS}


@each([m for m in MODULES if m.name == CONTRACT or m.room == "contract"])
def test_the_contract_only_delegates(module: Module) -> None:
    busy = [
        f"{owner.name}.{method.name}"
        for owner in module.classes
        for method in public_methods(owner)
        if statements_of(method) > 1
    ]
    assert not busy, f"these do more than one thing: {busy}"


def test_most_functions_are_short() -> None:
    assert median(lines_of(function) for module in MODULES for function in module.functions) <= MEDIAN_FUNCTION_LINES


@each(MODULES)
def test_everything_has_a_telling_name(module: Module) -> None:
    names = [module.name.split(".")[-1], *(owner.name for owner in module.classes)]
    assert not [name for name in names if any(drawer in name.lower() for drawer in DRAWERS)]
