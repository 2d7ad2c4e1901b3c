"""`up` and `down`: the stack on this machine; `env`: how programs reach it, or one in AWS."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cascade_flow.cli import outcome, tables
from cascade_flow.cli.target import ELSEWHERE, Target, targeted_without
from cascade_flow.errors import ConfigurationError

if TYPE_CHECKING:
    from cascade_flow.local import LocalStack


PortOption = Annotated[
    int | None,
    typer.Option(help="The port to answer on, if not where it is or was last; first 4566.", min=1, max=65_535),
]


@targeted_without(*ELSEWHERE)
def up(
    target: Target,
    port: PortOption = None,
) -> None:
    """Start the stack on this machine, or bring it up to date with your files.

    The same template as on AWS, deployed to an emulator that only your signed requests reach. Quick where nothing has
    changed.

    Examples:

      $ cascade up
      $ cascade up --port 5000
    """
    from cascade_flow import local  # noqa: PLC0415  (it takes half a second to import)

    only_here(target, "up")
    try:
        bring_up(target, local.find_root(Path.cwd()), port)
    except KeyboardInterrupt:
        target.screen.say("Interrupted. `cascade up` goes on from here, `cascade down` ends what is left.")
        raise


def bring_up(target: Target, root: Path, port: int | None) -> None:
    """Start or update the project's stack, and say how it is reached."""
    from cascade_flow import local  # noqa: PLC0415  (as above)

    project = local.Project(root, port=port)
    with target.screen.busy() as busy, closing(local.up(project)) as steps:
        for line in steps:
            busy.begin(line)
        busy.end(done=True)
    _report(target, local.running(project))


@targeted_without(*ELSEWHERE)
def down(target: Target) -> None:
    """Stop the stack on this machine and forget its data. Nothing is left running.

    Example:

      $ cascade down
    """
    from cascade_flow import local  # noqa: PLC0415  (it takes half a second to import)

    only_here(target, "down")
    was_running = False
    with target.screen.busy() as busy:
        for line in local.down(local.Project(local.find_root(Path.cwd()))):
            was_running = True
            busy.begin(line)
        busy.end(done=True)
    if target.as_json:
        target.screen.data({"wasRunning": was_running})
        return
    sentence = "Nothing of the stack is left running." if was_running else "Nothing was running."
    target.screen.show(Text(sentence))


@targeted_without("url")
def env(target: Target) -> None:
    """Print what a program needs to work on the engine's table, as shell variables.

    In Python, `cascade_flow.open_backend()` reads them; so do boto3 and the AWS CLI.

    Examples:

      $ eval "$(cascade env)"
      $ eval "$(cascade env --stack production)"
      $ cascade env --json
    """
    variables = target.environment()
    if target.as_json:
        target.screen.data(variables)
        return
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


def _report(target: Target, stack: LocalStack) -> None:
    with target.client() as client:
        slugs = [str(each["workflowSlug"]) for each in client.workflows()]
    if target.as_json:
        target.screen.data({"apiUrl": stack.api_url, "outputs": dict(stack.outputs), "workflows": slugs})
        return
    target.screen.show(
        Text.assemble(("✓ ", "green"), "The stack runs on this machine."),
        tables.facts([("  API", stack.api_url), ("  workflows", ", ".join(slugs))]),
        outcome.Commands(
            (f"cascade run {slugs[0] if slugs else 'WORKFLOW'} --watch", "run a workflow, and watch it"),
            ("cascade workflows", "what can be run"),
            ("cascade console", "see every run in your browser"),
            ("cascade down", "stop the stack, and forget its data"),
        ),
    )


def only_here(target: Target, verb: str) -> None:
    """Refuse what names a stack elsewhere."""
    if not target.is_local or target.region:
        raise ConfigurationError(
            f"`cascade {verb}` is about the stack on this machine. A stack in AWS is deployed with cascade deploy"
        )
