"""Deploys the stack: to the emulator on this machine and to AWS in the same way, by a change set of CloudFormation.

The template goes as it is written, but for the places of the code: those become the zips' addresses in a bucket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cascade_flow.authoring.git import git_info
from cascade_flow.errors import ConfigurationError
from cascade_flow.local import artifacts, emulator, template
from cascade_flow.local.artifact_store import ArtifactStore
from cascade_flow.local.artifacts import Artifact, Platform
from cascade_flow.local.changes import Change
from cascade_flow.local.formation import FAILED_FIRST, PATIENCE_US, Formation
from cascade_flow.local.place import Place, here
from cascade_flow.local.project import Project
from cascade_flow.local.state import LocalStack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef

__all__ = ["PATIENCE_US", "Plan", "build", "client", "deploy", "fingerprint", "make_deployable", "plan"]


@dataclass(frozen=True)
class Plan:
    """A deployment that waits for somebody's yes."""

    formation: Formation
    change_set: str
    changes: list[Change]

    def withdrawing(self) -> AbstractContextManager[None]:
        """Leave everything as it is where the block is broken off."""
        return self.formation.withdrawing(self.change_set)

    def carry_out(self) -> Generator[StackEventTypeDef]:
        """Do it; yields what happens. ConfigurationError, with the first cause, where it fails and is undone.

        Who stops listening stops nothing: CloudFormation goes on.
        """
        yield from self.formation.execute(self.change_set)
        if self.formation.settled() not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise ConfigurationError(f"The deployment failed: {self.formation.cause()}")


def deploy(project: Project, stack: LocalStack) -> dict[str, str]:
    """Bring the stack on this machine to what the files say, and return its outputs.

    ConfigurationError, with the cause, where that fails.
    """
    place = here(stack)
    code = build(project, artifacts.this_machine(project))
    make_deployable(place)
    planned = plan(project, place, code)
    try:
        for _ in planned.carry_out() if planned else ():
            pass
    except ConfigurationError as error:
        complaint = emulator.last_complaint(project.home, "RegistrationFunction") if "timed out" in str(error) else None
        raise ConfigurationError(f"{error} ({complaint})") if complaint else error from error
    return Formation(place).outputs()


def build(project: Project, platform: Platform) -> dict[str, Artifact]:
    """The zip for each place of code."""
    return {place: artifacts.artifact(project, place, platform) for place in template.places_of_code(project.template)}


def plan(project: Project, place: Place, code: Mapping[str, Artifact]) -> Plan | None:
    """Hand everything over, and ask what it would change; None where that is nothing."""
    store = ArtifactStore(place, project.environment.artifacts_bucket)
    store.keep(set(code.values()))
    body = template.with_code_at(project.template, {name: store.address(each) for name, each in code.items()})
    address = store.keep_template(f"template-{hashlib.sha256(body.encode()).hexdigest()[:16]}.yaml", body)
    formation = Formation(place)
    change_set = formation.propose(address, _parameters(project))
    if change_set is None:
        return None
    with formation.withdrawing(change_set):
        return Plan(formation, change_set, formation.changes(change_set))


def make_deployable(place: Place) -> None:
    """Bring a stack from wherever an earlier deployment left it, or is about to, to where the next one can begin.

    What a deployment didn't get done is undone, once more where that failed too, and then without what can't be undone.
    The table and the bucket are kept: the template says so. BackendUnavailableError where that takes too long.
    """
    formation, name = Formation(place), place.stack_name
    status = formation.settled()
    if status == "UPDATE_ROLLBACK_FAILED":
        formation.client.continue_update_rollback(StackName=name)
        if formation.settled() == status:
            undone = formation.failed(since="UPDATE_ROLLBACK_IN_PROGRESS")
            formation.client.continue_update_rollback(StackName=name, ResourcesToSkip=undone)
    elif status in (*FAILED_FIRST, "DELETE_FAILED"):
        formation.client.delete_stack(StackName=name)
        if formation.settled() == "DELETE_FAILED":
            kept = formation.failed(since="DELETE_IN_PROGRESS")
            formation.client.delete_stack(StackName=name, RetainResources=kept)
    formation.settled()


def fingerprint(project: Project) -> str:
    """A name for all that a deployment depends on: where it is unchanged, deploying again would change nothing."""
    parameters = ",".join(f"{name}={value}" for name, value in sorted(project.parameters.items()))
    return f"{artifacts.digest(*project.sources.parts, *artifacts.sources_of_workflows(project))} {parameters}"


def client(stack: LocalStack, service: Any) -> Any:
    """A client of the emulator for this AWS service."""
    return here(stack).client(service)


def _parameters(project: Project) -> dict[str, str]:
    git = git_info(project.workflows_dir)
    source = f"{git.commit} {git.branch} {'dirty' if git.dirty else 'clean'}" if git else ""
    return {"Git": source, **project.parameters}
