"""The house as its source says: every module parsed, what it imports, where it stands. No rule is judged here."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

ThingT = TypeVar("ThingT")

ROOT = Path(__file__).parents[2]
PACKAGE = "cascade_flow"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "clock", "release", "records"),
    ("signing", "seal", "aws"),
    ("model",),
    ("graph", "retry", "fingerprints", "serialization", "portions", "idempotency", "calendars"),
    ("projection",),
    ("analytics",),
    ("engine",),
    ("dynamodb",),
    ("offload", "wake", "dead_letters", "call_out"),
    ("operations",),
    ("contract", "backend"),
    ("settings",),
    ("authoring",),
    ("worker",),
    ("api",),
    ("client",),
    ("smoke", "local", "cli", "console", "remote", "testing"),
    ("functions",),
)
"""From the bottom to the top; a room imports its own floor and those below it."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str
    path: Path

    def __str__(self) -> str:
        return self.name

    @property
    def place(self) -> str:
        """Its path below the package, or below the repository for a handler."""
        below = ROOT / "backend" / PACKAGE
        return self.path.relative_to(below if self.path.is_relative_to(below) else ROOT).as_posix()

    @property
    def room(self) -> str:
        """The room of the house that it stands in."""
        return self.name.split(".")[1] if self.name.startswith(f"{PACKAGE}.") else self.name.split(".")[0]

    @property
    def is_handler(self) -> bool:
        return self.room == "functions"

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> frozenset[str]:
        """The full names of all that it imports: at its top, inside of functions, and for types only."""
        return frozenset(name for node in ast.walk(self.tree) for name in self._imported(node))

    @property
    def functions(self) -> Iterator[Function]:
        yield from (node for node in ast.walk(self.tree) if isinstance(node, Function))

    @property
    def classes(self) -> Iterator[ast.ClassDef]:
        yield from (node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef))

    def _imported(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = self._base(node)
            yield from (f"{base}.{alias.name}" for alias in node.names)

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".") if self.path.name == "__init__.py" else self.name.split(".")[:-1]
        return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def _modules() -> Iterator[Module]:
    for top in (ROOT / "backend" / PACKAGE, ROOT / "functions"):
        for path in sorted(top.rglob("*.py")):
            dotted = path.relative_to(top.parent).with_suffix("").as_posix().replace("/", ".")
            yield Module(dotted.removesuffix(".__init__"), path)


MODULES = tuple(_modules())
INSIDE = tuple(module for module in MODULES if module.name != PACKAGE)
"""All modules but the package's own list of public names, which stands outside of the house."""
_BY_NAME = {module.name: module for module in MODULES}


def modules_imported(module: Module) -> Iterator[Module]:
    """Our own modules among those that one imports; `from package import name` is the module `name` if there is one."""
    for name in module.imports:
        whole, _, attribute = name.rpartition(".")
        found = _BY_NAME.get(name) or (_BY_NAME.get(whole) if attribute else None)
        if found is not None and found is not module:
            yield found


def floor_of(room: str) -> int:
    """How high a room lies; ValueError for one that the plan does not have."""
    for height, floor in enumerate(FLOORS):
        if room in floor:
            return height
    raise ValueError(f"the house has no room {room!r}: give it a floor in FLOORS, or put the module into another room")


def each(things: Iterable[ThingT]) -> Callable[[Callable[[ThingT], None]], Callable[[], None]]:
    """One test of a rule that holds for each of these: thousands of tests of their own would take a minute."""

    def decorated(rule: Callable[[ThingT], None]) -> Callable[[], None]:
        def test() -> None:
            broken = {getattr(thing, "name", thing): found for thing in things if (found := _broken(rule, thing))}
            assert not broken, "\n".join(f"{thing}: {found}" for thing, found in broken.items())

        test.__name__, test.__doc__ = rule.__name__, rule.__doc__
        return test

    return decorated


def _broken(rule: Callable[[ThingT], None], thing: ThingT) -> str:
    try:
        rule(thing)
    except AssertionError as error:
        return str(error)
    return ""
