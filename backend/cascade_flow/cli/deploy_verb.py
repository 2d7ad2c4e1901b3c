"""`deploy`: the project's stack in AWS, made or brought up to date, after a look at what that changes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cascade_flow.cli import deployment_pictures, exits, formatting, outcome, preflight, tables
from cascade_flow.cli.target import Target, targeted_without
from cascade_flow.errors import CascadeFlowError, ConfigurationError

if TYPE_CHECKING:
    from cascade_flow.authoring.inspection import Declared
    from cascade_flow.local.deployment import Plan
    from cascade_flow.local.place import Place
    from cascade_flow.local.project import Project


@targeted_without("url")
def deploy(
    target: Target,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    replace_data: Annotated[
        bool, typer.Option("--replace-data", help="Go on where the table or the bucket is replaced by an empty one.")
    ] = False,
) -> None:
    """Deploy the project to AWS: show what changes, ask, and follow it to its end.

    Layers are built here, for Lambda; nothing else is needed: no Docker, no SAM. Ctrl-C stops the following, not the
    deployment. --env may be left out where `cascade.toml` has one environment only; what is named with --stack or
    --region wins over it.

    Examples:

      $ cascade deploy
      $ cascade deploy --env prod --yes
      $ cascade deploy --env prod --yes --json
    """
    from cascade_flow.local import checking, cloud, place as places  # noqa: PLC0415  (boto3, a second)

    project = _project(target)
    place = places.in_aws(project, stack=target.stack, region=target.region)
    with target.screen.busy() as busy:
        busy.begin(f"Looking at the stack {place.stack_name} in {place.region}")
        if cloud.is_under_way(place):
            busy.begin("Waiting: a deployment of it is under way")
        is_there = cloud.stands(place)
        busy.begin("Looking through the workflows")
        workflows = checking.require_sound(project)
        busy.begin("Building the functions and layers")
        code = cloud.build(project)
        busy.begin("Asking what is to change")
        plan = cloud.plan(project, place, code)
        busy.end(done=True)
    if plan is not None:
        with plan.withdrawing():
            broken = _broken(target, place, workflows) if is_there else 0
            target.screen.show(deployment_pictures.changes(plan.changes))
            _require_leave(target, plan, broken, yes=yes, replace_data=replace_data)
        _carry_out(target, plan)
    _report(target, place, changes=len(plan.changes) if plan else 0)


def _project(target: Target) -> Project:
    from cascade_flow.local import Project, find_root  # noqa: PLC0415  (half a second to import)

    if target.url:
        raise ConfigurationError("an address is no stack: name the stack with --stack, or its environment with --env")
    root, env = find_root(Path.cwd()), target.env
    named = sorted(Project(root).config.env.keys() - {"local"})
    if env == "local":
        raise ConfigurationError("The environment `local` is the stack on this machine: cascade up")
    if env is None and len(named) != 1:
        there = f"say which: --env {', --env '.join(named)}" if named else "add one to cascade.toml: [env.prod]"
        raise ConfigurationError(f"{'Several environments are' if named else 'No environment is'} declared: {there}")
    return Project(root, env=env or named[0])


def _broken(target: Target, place: Place, workflows: Sequence[Declared]) -> int:
    """How many of the runs under way would fail by this deployment; shows what becomes of them all."""
    from cascade_flow.local import endpoints  # noqa: PLC0415  (boto3, a second)

    try:
        with endpoints.client_by(place.session, place.stack_name) as client:
            found = preflight.effect_of(client, workflows)
    except CascadeFlowError as error:
        target.screen.say(f"What becomes of the runs under way can't be told: {error}", "yellow")
        return 0
    target.screen.show(*preflight.told(found))
    return len(found["broken"])


def _carry_out(target: Target, plan: Plan) -> None:
    from cascade_flow.local.place import explained  # noqa: PLC0415  (boto3, a second)

    following = deployment_pictures.Following(target.screen, plan.changes)
    try:
        with explained("deploy"), following, closing(plan.carry_out()) as events:
            for event in events:
                following.tell(event)
    except KeyboardInterrupt:
        target.screen.say(
            "The deployment goes on without you. To see where it stands, and follow it to its end: "
            + target.command("deploy")
        )
        raise typer.Exit(exits.INTERRUPTED) from None


def _require_leave(target: Target, plan: Plan, broken: int, *, yes: bool, replace_data: bool) -> None:
    """Raises unless the user wants it."""
    lost = [change.resource for change in plan.changes if change.parts_from_runs]
    if lost and not replace_data:
        raise ConfigurationError(
            f"This would replace or remove {' and '.join(lost)}, which hold your runs; they would be kept, but not "
            "used any more. If you mean that: cascade deploy --replace-data"
        )
    if yes:
        return
    if target.as_json or not sys.stdin.isatty():
        raise ConfigurationError("Nobody can be asked here whether to deploy this. Say so before: cascade deploy --yes")
    if not typer.confirm("Deploy this" + (f", and let {formatting.count(broken, 'run')} fail?" if broken else "?")):
        target.screen.say("Nothing was changed.")
        raise typer.Exit(exits.WRONG_USE)


def _report(target: Target, place: Place, *, changes: int) -> None:
    from cascade_flow.local.formation import Formation  # noqa: PLC0415  (boto3, a second)
    from cascade_flow.local.place import explained  # noqa: PLC0415  (boto3, a second)

    with explained("read the stack's outputs"):
        outputs = Formation(place).outputs()
    if target.as_json:
        target.screen.data({"stack": place.stack_name, "region": place.region, "changes": changes, "outputs": outputs})
        return
    told = "is up to date." if changes else "has nothing to change."
    there = f"--stack {place.stack_name} --region {place.region}"
    who = f"AWS_PROFILE={place.profile} " if place.profile else ""
    removal = f"{who}aws cloudformation delete-stack --stack-name {place.stack_name} --region {place.region}"
    slug = outputs.get("RegisteredWorkflows", "").split(",")[0] or "WORKFLOW"
    target.screen.show(
        Text.assemble(("✓ ", "green"), f"The stack {place.stack_name} {told}"),
        tables.facts([(f"  {name}", value) for name, value in sorted(outputs.items())]),
        outcome.Commands(
            (f"{who}cascade run {slug} --watch {there}", "run a workflow there"),
            (f"{who}cascade smoke {there}", "look at the stack, point by point"),
            (removal, "remove it; its table and bucket stay"),
        ),
    )
