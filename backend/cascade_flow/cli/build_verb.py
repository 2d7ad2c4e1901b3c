"""`build`: what AWS is given, made on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cascade_flow.cli import formatting, outcome, tables
from cascade_flow.cli.stack_verbs import only_here
from cascade_flow.cli.target import ELSEWHERE, Target, targeted_without

if TYPE_CHECKING:
    from cascade_flow.local.cloud_build import Made


@targeted_without(*ELSEWHERE)
def build(
    target: Target,
    output: Annotated[Path, typer.Option(help="The folder to write to.", file_okay=False)] = Path("dist"),
) -> None:
    """Make what is deployed to AWS, for whoever deploys in another way: zips, and a template that names them.

    Each layer is checked: complete, for arm64, small enough. What is there already, unchanged, is not made again.

    Examples:

      $ cascade build
      $ cascade build --output /tmp/release
      $ sam deploy --guided --template-file dist/template.yaml --parameter-overrides WorkflowsPackage=my_flows
    """
    from cascade_flow.local import Project, cloud_build, find_root  # noqa: PLC0415  (half a second to import)

    only_here(target, "build")
    project = Project(find_root(Path.cwd()))
    made: list[Made] = []
    with target.screen.busy() as busy:
        busy.begin("Building the functions and layers")
        made.extend(cloud_build.build(project, output))
        busy.end(done=True)
    _report(target, made, output, project.workflows_package)


def _report(target: Target, made: Iterable[Made], output: Path, package: str) -> None:
    sizes = {each.artifact.key: each.size for each in made}
    template = output / "template.yaml"
    if target.as_json:
        target.screen.data({"template": str(template), "artifacts": sizes})
        return
    target.screen.show(
        Text.assemble(("✓ ", "green"), f"Built for AWS Lambda, into {output}."),
        tables.facts([(f"  {name}", formatting.bytes_of(size)) for name, size in sizes.items()]),
        outcome.Commands(
            (
                f"sam deploy --guided --template-file {template} --parameter-overrides WorkflowsPackage={package}",
                "deploy it with SAM",
            ),
            (f"aws cloudformation package --template-file {template} …", "or with the AWS CLI"),
        ),
    )
