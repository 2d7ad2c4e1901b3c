"""`dev`: the stack on this machine, brought up to date with every save."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from cascade_flow.cli import complaints, exits, formatting, stack_verbs
from cascade_flow.cli.target import ELSEWHERE, Target, targeted_without
from cascade_flow.clock import now_us
from cascade_flow.errors import CascadeFlowError, DefinitionError

if TYPE_CHECKING:
    from cascade_flow.local.watch import Seen


@targeted_without(*ELSEWHERE)
def dev(
    target: Target,
    port: stack_verbs.PortOption = None,
) -> None:
    """Start the stack on this machine, and deploy what you save, as soon as you save it.

    Mistakes are shown where they are made; what was deployed before goes on meanwhile. Ctrl-C ends the watching; the
    stack goes on running.

    Examples:

      $ cascade dev
      $ cascade dev --port 5000
    """
    from cascade_flow import local  # noqa: PLC0415  (it takes half a second to import)
    from cascade_flow.local import watch  # noqa: PLC0415

    stack_verbs.only_here(target, "dev")
    root = local.find_root(Path.cwd())
    try:
        before = watch.seen(root)
        _begin(target, root, port)
        while True:
            before = _redeployed(target, root, port, before)
    except KeyboardInterrupt:
        target.screen.say("\nNobody watches any more; the stack, if it was up, still runs. Stop it: cascade down")
        raise typer.Exit(exits.INTERRUPTED) from None


def _begin(target: Target, root: Path, port: int | None) -> None:
    """Deploy what there is. Mistakes in workflows can be mended under our eyes; all else ends it."""
    try:
        stack_verbs.bring_up(target, root, port)
    except DefinitionError as error:
        _refused(target, error, [])
    target.screen.say("Watching. Save a file, and it is deployed; Ctrl-C ends this.", "dim")


def _redeployed(target: Target, root: Path, port: int | None, before: Seen) -> Seen:
    """What there was before the deployment of the next thing that is saved."""
    from cascade_flow.local import Project, up, watch  # noqa: PLC0415  (as above)

    saved = watch.until_saved(root, before)
    now, began_us = watch.seen(root, before), now_us()
    try:
        with closing(up(Project(root, port=port))) as steps:
            done = list(steps)
    except CascadeFlowError as error:
        _refused(target, error, saved)
    else:
        _deployed(target, saved, now_us() - began_us if done else 0)
    return now


def _deployed(target: Target, saved: list[str], took_us: int) -> None:
    if target.as_json:
        target.screen.record({"deployed": bool(took_us), "files": saved, "durationUs": took_us})
        return
    told = f"deployed in {formatting.duration(took_us)}" if took_us else "nothing to deploy"
    target.screen.show(Text.assemble(("✓ ", "green"), f"{told}  ", (", ".join(saved), "dim")))


def _refused(target: Target, error: CascadeFlowError, saved: list[str]) -> None:
    if target.as_json:
        target.screen.record({"deployed": False, "files": saved, "error": complaints.told(error)})
        return
    target.screen.complain(complaints.told(error))
    target.screen.say("Mend it and save; until then what was deployed before goes on.", "dim")
