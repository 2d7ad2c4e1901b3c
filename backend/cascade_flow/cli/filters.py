"""Many runs at once: which ones are meant, how many there are, whether to go on, and how far it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from cascade_flow import clock
from cascade_flow.cli import exits, formatting, inputs, tables
from cascade_flow.cli.completion import complete_workflow
from cascade_flow.cli.target import Target

if TYPE_CHECKING:
    from cascade_flow.client import Client, Json

_PANEL = "Many runs"
_MOST_SHOWN = 20
WorkflowFilter = Annotated[
    str | None,
    typer.Option(
        "--workflow",
        metavar="SLUG",
        help="Runs of this workflow.",
        rich_help_panel=_PANEL,
        autocompletion=complete_workflow,
    ),
]
StatusFilter = Annotated[
    list[str] | None,
    typer.Option("--status", metavar="STATUS", help="Runs in this state; may be repeated.", rich_help_panel=_PANEL),
]
TagFilter = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TEXT", help="Runs with this tag; may be repeated.", rich_help_panel=_PANEL),
]
SinceFilter = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Runs submitted within 90s, 5m, 2h, 1d.", rich_help_panel=_PANEL),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


@dataclass(frozen=True)
class Selection:
    """Which runs a person means."""

    workflow: str | None
    status: Sequence[str]
    tags: Sequence[str]
    since_us: int | None

    @classmethod
    def of(
        cls, workflow: str | None, status: list[str] | None, tags: list[str] | None, since: str | None
    ) -> Selection | None:
        """None where nothing is said."""
        if not any((workflow, status, tags, since)):
            return None
        return cls(workflow, tuple(status or ()), tuple(tags or ()), since_us(since))

    def meaning(self, *statuses: str) -> Selection:
        """The same, in these states where none is named. BadParameter for another one."""
        for status in self.status:
            if status not in statuses:
                known = " or ".join(statuses)
                raise typer.BadParameter(f"{status!r} is none of these: give {known}", param_hint="--status")
        return self if self.status else Selection(self.workflow, statuses, self.tags, self.since_us)

    @property
    def wish(self) -> dict[str, Any]:
        """What the client is asked with."""
        return {
            "workflow_slug": self.workflow,
            "status": self.status,
            "tags": self.tags,
            "created_after_us": self.since_us,
        }

    @property
    def words(self) -> str:
        parts = [" or ".join(self.status), f"of {self.workflow}" if self.workflow else ""]
        parts += [f"with the tag {' and '.join(self.tags)}"] if self.tags else []
        parts += [f"submitted since {formatting.instant(self.since_us)}"] if self.since_us else []
        return ", ".join(part for part in parts if part)


def since_us(since: str | None) -> int | None:
    """The instant that `--since` means, the epoch at the earliest."""
    seconds = inputs.read_seconds(since, "--since")
    return None if seconds is None else max(0, clock.now_us() - round(seconds * 1_000_000))


def one_or_many(run: str | None, selection: Selection | None) -> None:
    """BadParameter where neither a run nor a filter is named, or both."""
    if run is None and selection is None:
        raise typer.BadParameter("name a run, or several by --workflow, --status, --tag or --since", param_hint="RUN")
    if run is not None and selection is not None:
        raise typer.BadParameter("name a run or a filter, not both", param_hint="RUN")


def ask(question: str, *, yes: bool) -> None:
    """Go on where a person says so. BadParameter where nobody can be asked; Abort where the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody can be asked here: say yes with --yes", param_hint="--yes")
    if not typer.confirm(question, err=True):
        raise typer.Abort


def all_of(
    target: Target,
    client: Client,
    selection: Selection,
    act: Callable[..., Iterator[Json]],
    words: tuple[str, str],
    *,
    reason: str | None,
    yes: bool,
) -> None:
    """Do something with all runs that are meant: `words` are the wish (`retry`) and what is done (`tried again`)."""
    number = _count(client, selection)
    if number == "0":
        _none(target, selection)
        return
    noun = "run" if number == "1" else "runs"
    ask(f"{words[0].capitalize()} {number} {noun} ({selection.words})?", yes=yes)
    done = _done(target, act(**selection.wish, reason=reason), number, words[1])
    if target.as_json:
        target.screen.data(done)
    else:
        _tell(target, done, words[1])
    if done["refused"]:
        raise typer.Exit(exits.NOT_AS_PROMISED)


def _count(client: Client, selection: Selection) -> str:
    page = client.runs(**selection.wish, limit=1, total=True)
    return f"{page['total']:,}" + ("" if page["totalIsExact"] else "+")


def _none(target: Target, selection: Selection) -> None:
    if target.as_json:
        target.screen.data({"count": 0, "refused": []})
    else:
        target.screen.show(Text(f"No run matches: {selection.words}."))


def _done(target: Target, pieces: Iterator[Json], number: str, said: str) -> Json:
    """What came of all pieces; who is interrupted hears how far it went, since what is done stays done."""
    count, refused = 0, []
    try:
        with target.screen.busy() as busy:
            busy.far(f"0 of {number} {said}")
            for piece in pieces:
                count += piece["count"]
                refused += piece["refused"]
                busy.far(f"{count:,} of {number} {said}")
            busy.forget()
    except KeyboardInterrupt:
        target.screen.say(f"{formatting.count(count, 'run')} {said}; the same command goes on with the rest.")
        raise typer.Exit(exits.INTERRUPTED) from None
    return {"count": count, "refused": refused}


def _tell(target: Target, done: Json, said: str) -> None:
    target.screen.show(Text.assemble(("✓ ", "green"), f"{formatting.count(done['count'], 'run')} {said}."))
    if refused := done["refused"]:
        number = formatting.count(len(refused), "run")
        target.screen.show(Text.assemble(("✗ ", "red"), f"{number} refused:"), tables.refusals(refused[:_MOST_SHOWN]))
        if len(refused) > _MOST_SHOWN:
            target.screen.show(Text(f"and {len(refused) - _MOST_SHOWN:,} more: --json names them", "dim"))
