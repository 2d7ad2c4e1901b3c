"""A deployment as people see it: what it is to change, and how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from cascade_flow.cli import tables
from cascade_flow.cli.screen import Screen

if TYPE_CHECKING:
    from cascade_flow.local.changes import Change

_LOOKS = {"Add": ("+ add", "green"), "Modify": ("~ modify", "yellow"), "Remove": ("- remove", "red")}
_REPLACED = {"True": ("replaced", "yellow"), "Conditional": ("perhaps replaced", "yellow")}


def changes(planned: Sequence[Change]) -> Table:
    """A line for each kind of resource, and what becomes of it; what holds runs and would be lost from sight is red."""
    table = tables.plain_table("", "type", "", "resources")
    for first, *others in _alike(planned):
        said, style = _LOOKS.get(first.action, (first.action.lower(), ""))
        replaced, colour = _REPLACED.get(first.replacement, ("", ""))
        if first.parts_from_runs:
            style = colour = "bold red"
        names = Text(", ".join(change.resource for change in (first, *others)), overflow="fold")
        table.add_row(Text(said, style), first.kind, Text(replaced, colour), names)
    return table


def _alike(planned: Sequence[Change]) -> Iterator[list[Change]]:
    """Those of one kind that fare alike; first what parts from runs, then what changes, what is new last."""

    def fate(change: Change) -> tuple[Any, ...]:
        return not change.parts_from_runs, change.action == "Add", change.action, change.kind, change.replacement

    for _, group in groupby(sorted(planned, key=lambda change: (fate(change), change.resource)), fate):
        yield list(group)


class Following:
    """What CloudFormation does, as it does it: a line that counts where a person looks, else one for each resource."""

    def __init__(self, screen: Screen, planned: Sequence[Change]) -> None:
        self._console = screen.stage
        self._wanted, self._done = {change.resource for change in planned}, set[str]()
        self._moves = self._console.is_terminal
        self._live: Any = self._console.status(self._line("")) if self._moves else None

    def __enter__(self) -> Following:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def tell(self, event: Any) -> None:
        """One event of the stack's."""
        name, status = event["LogicalResourceId"], event["ResourceStatus"]
        if status.endswith("_FAILED"):
            self._console.print(Text(f"✗ {name}: {event.get('ResourceStatusReason', status)}", "red"), soft_wrap=True)
        elif status.endswith("ROLLBACK_IN_PROGRESS"):
            self._console.print(Text(f"{name}: what was done is undone", "yellow"), soft_wrap=True)
        elif status.endswith("_COMPLETE") and name in self._wanted - self._done:
            self._done.add(name)
            if not self._moves:
                self._console.print(self._line(name), soft_wrap=True)
        if self._live:
            self._live.update(self._line(name))

    def _line(self, name: str) -> Text:
        return Text(f"Deploying {len(self._done)}/{len(self._wanted)} {name}")
