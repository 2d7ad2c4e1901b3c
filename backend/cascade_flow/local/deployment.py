"""Deploys the project's template to the emulator, as CloudFormation would be asked to on AWS.

The template goes as it is written, but for the places of the code: those become the zips' addresses in a bucket.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from cascade_flow.authoring.git import git_info
from cascade_flow.clock import now_us, pause_us
from cascade_flow.errors import BackendUnavailableError, ConfigurationError
from cascade_flow.local import artifacts, emulator
from cascade_flow.local.artifacts import Artifact
from cascade_flow.local.project import Project
from cascade_flow.local.state import ACCESS_KEY, REGION, SECRET_KEY, LocalStack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

_BUCKET = "cascade-deployment"
_PLACE_OF_CODE = re.compile(r"^( +)(CodeUri|ContentUri): (.+)$", re.MULTILINE)
_PATIENCE_US = 180_000_000
_GLANCE_US = 50_000


def deploy(project: Project, stack: LocalStack) -> dict[str, str]:
    """Create or update the stack and return its outputs. ConfigurationError, with the cause, where that fails."""
    code = {place: _artifact(project, place) for place in _places(project)}
    _upload(stack, set(code.values()))
    address = {place: f"s3://{_BUCKET}/{artifact.key}" for place, artifact in code.items()}
    body = _PLACE_OF_CODE.sub(lambda m: f"{m[1]}{m[2]}: {address[m[3].strip()]}", _template(project))
    _submit(project, stack, body)
    return _outcome(project, stack)


def fingerprint(project: Project) -> str:
    """A name for all that a deployment depends on: where it is unchanged, deploying again would change nothing."""
    sources = [project.template, project.root / artifacts.FRAMEWORK, project.root / artifacts.FRAMEWORK_CODE]
    sources += [project.root / "functions", project.workflows_dir]
    parameters = ",".join(f"{name}={value}" for name, value in sorted(project.parameters.items()))
    return f"{artifacts.digest(*sources)} {parameters}"


def client(stack: LocalStack, service: Any) -> Any:
    """A client of the emulator for this AWS service."""
    return boto3.client(
        service,
        endpoint_url=stack.endpoint_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )


def _template(project: Project) -> str:
    return project.template.read_text(encoding="utf-8")


def _places(project: Project) -> set[str]:
    return {match[3].strip() for match in _PLACE_OF_CODE.finditer(_template(project))}


def _artifact(project: Project, place: str) -> Artifact:
    if place == artifacts.FRAMEWORK:
        return artifacts.framework(project)
    if place == "!Ref WorkflowsDir":
        return artifacts.workflows(project)
    return artifacts.function(project, place)


def _upload(stack: LocalStack, code: set[Artifact]) -> None:
    bucket = client(stack, "s3")
    bucket.create_bucket(Bucket=_BUCKET)
    for artifact in code:
        bucket.put_object(Bucket=_BUCKET, Key=artifact.key, Body=artifact.path.read_bytes())


def _submit(project: Project, stack: LocalStack, body: str) -> None:
    formation = client(stack, "cloudformation")
    request = {
        "StackName": stack.stack_name,
        "TemplateBody": body,
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in _parameters(project).items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    try:
        (formation.update_stack if _describe(stack) else formation.create_stack)(**request)
    except ClientError as error:
        reason = error.response["Error"].get("Message", "")
        if "No updates are to be performed" not in reason:
            raise ConfigurationError(f"The template was refused: {reason}") from error


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
    return found


def _outcome(project: Project, stack: LocalStack) -> dict[str, str]:
    deadline_us = now_us() + _PATIENCE_US
    while (described := _describe(stack)) and described["StackStatus"].endswith("_IN_PROGRESS"):
        if now_us() > deadline_us:
            raise BackendUnavailableError("The deployment takes too long. Start afresh: cascade down, then cascade up")
        pause_us(_GLANCE_US)
    if described and described["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        return {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}
    cause = _cause(stack)
    if described and described["StackStatus"].startswith("ROLLBACK"):
        # A stack whose creation failed can't be updated, and nothing was in it: the next one begins with nothing.
        emulator.clear(stack)
    complaint = emulator.last_complaint(project.home, "-registration") if "timed out" in cause else None
    raise ConfigurationError(f"The deployment failed: {cause}{f' ({complaint})' if complaint else ''}")


def _cause(stack: LocalStack) -> str:
    """The first failure since this deployment began; those after it are its consequences. Events come newest first."""
    cause = "CloudFormation doesn't say why."
    pages = client(stack, "cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack.stack_name)
    for event in (event for page in pages for event in page["StackEvents"]):
        status, name = event["ResourceStatus"], event["LogicalResourceId"]
        if name == stack.stack_name and status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
            break
        if status.endswith("_FAILED"):
            cause = f"{name}: {event.get('ResourceStatusReason', 'no reason given')}"
    return cause
