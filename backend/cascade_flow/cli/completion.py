"""What a shell may complete: workflows, recent runs and their steps, from the API, within a second or not at all."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade_flow.errors import BackendUnavailableError, CascadeFlowError

if TYPE_CHECKING:
    from cascade_flow.client import Client

_TO_FIND_IT_S = 2.0
_TO_ANSWER_S = 1.0
_MOST = 50
Candidates = list[tuple[str, str]]
Shell = StrEnum("Shell", ["BASH", "ZSH", "FISH"])


def complete_workflow(ctx: typer.Context, incomplete: str) -> Candidates:
    """The workflows' slugs, with their names."""
    return _asked(ctx, incomplete, lambda client: [(w["workflowSlug"], w["name"]) for w in client.workflows()])


def complete_schedule(ctx: typer.Context, incomplete: str) -> Candidates:
    """The schedules of the workflow that is named already."""
    workflow = ctx.params.get("workflow")
    if not workflow:
        return []
    return _asked(
        ctx,
        incomplete,
        lambda client: [(each["name"], each.get("cron", "")) for each in client.schedules(workflow)],
    )


def complete_run(ctx: typer.Context, incomplete: str) -> Candidates:
    """The ids of the newest runs, with their workflow and state."""
    return _asked(
        ctx,
        incomplete,
        lambda client: [
            (run["runId"], f"{run['workflowSlug']}, {run['status']}") for run in client.runs(limit=_MOST)["runs"]
        ],
    )


def complete_step(ctx: typer.Context, incomplete: str) -> Candidates:
    """The steps of the run that is named already."""
    return _steps(ctx, incomplete, lambda step: True)


def complete_event(ctx: typer.Context, incomplete: str) -> Candidates:
    """The events that the run waits for, or will."""
    return _steps(ctx, incomplete, lambda step: "event" in step)


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)],
) -> None:
    """Print what makes a shell complete verbs, options, workflows and runs. `--install-completion` installs it.

    Examples:

      $ cascade completion bash >> ~/.bashrc
      $ cascade completion zsh > ~/.zfunc/_cascade
      $ cascade completion fish > ~/.config/fish/completions/cascade.fish
    """
    from typer._completion_shared import get_completion_script  # noqa: PLC0415  (for this verb only)

    # bandit takes the shell's name for an order to start one
    script = get_completion_script(  # nosec B604
        prog_name="cascade", complete_var="_CASCADE_COMPLETE", shell=shell.value
    )
    sys.stdout.write(script + "\n")


def _steps(ctx: typer.Context, incomplete: str, wanted: Callable[[Any], bool]) -> Candidates:
    run = ctx.params.get("run")
    if not run:
        return []
    return _asked(
        ctx,
        incomplete,
        lambda client: [
            (step["stepId"], step["status"]) for step in client.run(run, payloads=False)["steps"] if wanted(step)
        ],
    )


def _asked(ctx: Any, incomplete: str, ask: Callable[[Client], Candidates]) -> Candidates:
    """What the API knows that begins so; nothing where it isn't there, or slow."""
    from cascade_flow.cli.target import Target  # noqa: PLC0415  (its options are completed by this module)

    try:
        with _at_most(_TO_FIND_IT_S):
            client = _target_of(ctx, Target).client()
        with client, _at_most(_TO_ANSWER_S):
            return [(value, remark) for value, remark in ask(client) if value.startswith(incomplete)]
    except CascadeFlowError:
        return []


def _target_of(ctx: Any, kind: Any) -> Any:
    """The engine that the words so far mean."""
    before, own = (ctx.parent.params if ctx.parent else {}), ctx.params
    named = {name: own.get(name) or before.get(name) for name in ("stack", "env", "region", "url")}
    return kind(**named)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raises BackendUnavailableError in the block when its time is over: whoever presses a key waits no longer."""

    def give_up(*_: object) -> None:
        raise BackendUnavailableError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
