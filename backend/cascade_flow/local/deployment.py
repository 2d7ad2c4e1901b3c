"""Deploys the project's template to the emulator, as CloudFormation would be asked to on AWS.

The template goes as it is written, but for the places of the code: those become the zips' addresses in a bucket.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from cascade_flow.authoring.git import git_info
from cascade_flow.clock import now_us, pause_us
from cascade_flow.errors import BackendUnavailableError, ConfigurationError
from cascade_flow.local import artifacts, emulator, template
from cascade_flow.local.artifacts import Artifact
from cascade_flow.local.project import Project
from cascade_flow.local.state import REGION, LocalStack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef, StackTypeDef

_BUCKET = "cascade-deployment"
PATIENCE_US = 900_000_000
"""Longer than the template lets a registration last, twice: its rollback registers again what there was."""
_GLANCE_US = 50_000
_UNMADE = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")
"""Where a stack can't be updated, only deleted: it never was whole, or has been given up."""


def deploy(project: Project, stack: LocalStack) -> dict[str, str]:
    """Create or update the stack and return its outputs. ConfigurationError, with the cause, where that fails."""
    platform = artifacts.this_machine(project)
    code = {place: artifacts.artifact(project, place, platform) for place in template.places_of_code(project)}
    _upload(stack, set(code.values()))
    address = {place: f"s3://{_BUCKET}/{artifact.key}" for place, artifact in code.items()}
    body = template.with_code_at(project, address)
    make_deployable(stack)
    begun = _submit(project, stack, body)
    return _outcome(project, stack) if begun else _outputs(_describe(stack))


def make_deployable(stack: LocalStack) -> None:
    """Bring a stack from wherever an earlier deployment left it, or is about to, to where the next one can begin.

    What a deployment didn't get done is undone, once more where that failed too, and then without what can't be undone.
    The table and the bucket are kept: the template says so. BackendUnavailableError where that takes too long.
    """
    formation, name = client(stack, "cloudformation"), stack.stack_name
    status = _settled(stack)
    if status == "UPDATE_ROLLBACK_FAILED":
        formation.continue_update_rollback(StackName=name)
        if _settled(stack) == status:
            undone = _failed(stack, since="UPDATE_ROLLBACK_IN_PROGRESS")
            formation.continue_update_rollback(StackName=name, ResourcesToSkip=undone)
    elif status in _UNMADE:
        formation.delete_stack(StackName=name)
        if _settled(stack) == "DELETE_FAILED":
            formation.delete_stack(StackName=name, RetainResources=_failed(stack, since="DELETE_IN_PROGRESS"))
    _settled(stack)


def fingerprint(project: Project) -> str:
    """A name for all that a deployment depends on: where it is unchanged, deploying again would change nothing."""
    sources = [project.template, project.root / artifacts.FRAMEWORK, project.root / "functions", project.workflows_dir]
    parameters = ",".join(f"{name}={value}" for name, value in sorted(project.parameters.items()))
    return f"{artifacts.digest(*sources)} {parameters}"


def client(stack: LocalStack, service: Any) -> Any:
    """A client of the emulator for this AWS service."""
    return boto3.client(
        service,
        endpoint_url=stack.endpoint_url,
        region_name=REGION,
        aws_access_key_id=stack.access_key,
        aws_secret_access_key=stack.secret_key,
    )


def _upload(stack: LocalStack, code: set[Artifact]) -> None:
    bucket = client(stack, "s3")
    bucket.create_bucket(Bucket=_BUCKET)
    for artifact in code:
        bucket.put_object(Bucket=_BUCKET, Key=artifact.key, Body=artifact.path.read_bytes())


def _submit(project: Project, stack: LocalStack, body: str) -> bool:
    """Whether there was anything to do. ConfigurationError where the template is refused."""
    formation = client(stack, "cloudformation")
    request = {
        "StackName": stack.stack_name,
        "TemplateURL": _addressed(stack, body),
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in _parameters(project).items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    try:
        (formation.update_stack if _describe(stack) else formation.create_stack)(**request)
    except ClientError as error:
        reason = error.response["Error"].get("Message", "")
        if "No updates are to be performed" in reason:
            return False
        raise ConfigurationError(f"The template was refused: {reason}") from error
    return True


def _addressed(stack: LocalStack, body: str) -> str:
    """Where the template lies: a request takes 51,200 bytes of one, an address any."""
    client(stack, "s3").put_object(Bucket=_BUCKET, Key="template.yaml", Body=body.encode())
    return f"{stack.endpoint_url}/{_BUCKET}/template.yaml"


def _parameters(project: Project) -> dict[str, str]:
    git = git_info(project.workflows_dir)
    source = f"{git.commit} {git.branch} {'dirty' if git.dirty else 'clean'}" if git else ""
    return {"Git": source, **project.parameters}


def _describe(stack: LocalStack) -> StackTypeDef | None:
    try:
        stacks = client(stack, "cloudformation").describe_stacks(StackName=stack.stack_name)["Stacks"]
    except ClientError:
        return None
    found: StackTypeDef = stacks[0]
    return None if found["StackStatus"] == "DELETE_COMPLETE" else found


def _outputs(described: StackTypeDef | None) -> dict[str, str]:
    return {each["OutputKey"]: each["OutputValue"] for each in (described.get("Outputs", []) if described else [])}


def _settled(stack: LocalStack) -> str | None:
    """The stack's status as soon as nothing is under way. None where there is no stack."""
    deadline_us = now_us() + PATIENCE_US
    while (described := _describe(stack)) and described["StackStatus"].endswith("_IN_PROGRESS"):
        if now_us() > deadline_us:
            raise BackendUnavailableError(
                f"The deployment is under way for more than {PATIENCE_US // 60_000_000} minutes. "
                "Go on with it once this machine has less to do: cascade up"
            )
        pause_us(_GLANCE_US)
    return described["StackStatus"] if described else None


def _outcome(project: Project, stack: LocalStack) -> dict[str, str]:
    if _settled(stack) in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        return _outputs(_describe(stack))
    cause = _cause(stack)
    complaint = emulator.last_complaint(project.home, "RegistrationFunction") if "timed out" in cause else None
    raise ConfigurationError(f"The deployment failed: {cause}{f' ({complaint})' if complaint else ''}")


def _cause(stack: LocalStack) -> str:
    """The first failure since this deployment began; those after it are its consequences."""
    *_, first = ({}, *_failures(stack, since=("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")))
    if not first:
        return "CloudFormation doesn't say why."
    return f"{first['LogicalResourceId']}: {first.get('ResourceStatusReason', 'no reason given')}"


def _failed(stack: LocalStack, *, since: str) -> list[str]:
    """The names of the resources that failed since the stack came into this status."""
    return sorted({event["LogicalResourceId"] for event in _failures(stack, since=(since,))} - {stack.stack_name})


def _failures(stack: LocalStack, *, since: tuple[str, ...]) -> Iterator[StackEventTypeDef]:
    """What failed since the stack came into one of these statuses, the latest first."""
    pages = client(stack, "cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack.stack_name)
    for event in (event for page in pages for event in page["StackEvents"]):
        if event["LogicalResourceId"] == stack.stack_name and event["ResourceStatus"] in since:
            return
        if event["ResourceStatus"].endswith("_FAILED"):
            yield event
