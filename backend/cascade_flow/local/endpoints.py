"""Finds the engine that is meant: the local stack, a stack in AWS by its name, or an address.

A client speaks to its API; an environment is what `Settings` and boto3 read to work on its table from Python.

Nothing is started, deployed or changed here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cascade_flow.client import Client
from cascade_flow.errors import BackendUnavailableError, ConfigurationError
from cascade_flow.local import state
from cascade_flow.local.presence import running
from cascade_flow.local.project import Project, find_root
from cascade_flow.local.state import REGION, LocalStack
from cascade_flow.signing import StaticKeys

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

    from cascade_flow.local.elsewhere import Elsewhere
    from cascade_flow.smoke.stack import Stack

_OUTPUT = "ApiUrl"
_SETTINGS = {
    "CASCADE_TABLE": "TableName",
    "CASCADE_BUCKET": "BucketName",
    "CASCADE_QUEUE_URL": "QueueUrl",
    "CASCADE_URGENT_QUEUE_URL": "UrgentQueueUrl",
    "CASCADE_LEASE_MS": "LeaseMs",
    "CASCADE_HEARTBEAT_MS": "HeartbeatMs",
    "CASCADE_GRACE_MS": "GraceMs",
    "CASCADE_RETENTION_DAYS": "RetentionDays",
    "CASCADE_DUE_SHARDS": "DueShards",
    "CASCADE_RUNS_SHARDS": "RunsShards",
}
"""Of `Settings`, and which output or parameter of the stack each is."""
_NOTHING_RUNS = "no local engine is running: start it with `cascade up`, or name a stack with --stack or --env"


def local_client(start: Path) -> Client:
    """A client of the stack that runs on this machine, for the project that `start` lies in.

    Raises ConfigurationError where none was started, BackendUnavailableError where it has died.
    """
    stack = _running(start)
    return Client(stack.api_url, region=REGION, session=StaticKeys(stack.access_key, stack.secret_key))


def stack_client(place: Elsewhere) -> Client:
    """A client of a deployed stack, with the caller's AWS credentials.

    Raises ConfigurationError where there is no such stack or it can't be asked for, BackendUnavailableError where AWS
    doesn't answer.
    """
    return client_by(_session_for(place), place.stack)


def client_by(session: boto3.Session, name: str) -> Client:
    """The same with the credentials and the region of a session. Raises as `stack_client`."""
    url = _address(_outputs(_described(session, name)), session.client("cloudformation").meta.endpoint_url)
    return Client(url, region=session.region_name, session=session)


def address_client(url: str, *, region: str | None, profile: str | None = None) -> Client:
    """A client of the API at an address, with the caller's AWS credentials. Raises ConfigurationError."""
    session = None if profile is None else _session(region_name=region, profile_name=profile)
    return Client(url, region=region, session=session)


def local_environment(start: Path) -> dict[str, str]:
    """What a process needs to know of the stack on this machine, its credentials too. Raises as `local_client`."""
    stack = _running(start)
    aws = {
        "AWS_ENDPOINT_URL": stack.endpoint_url,
        "AWS_ACCESS_KEY_ID": stack.access_key,
        "AWS_SECRET_ACCESS_KEY": stack.secret_key,
    }
    session = _session(stack.access_key, stack.secret_key, region_name=REGION)
    return _environment(_described(session, stack.stack_name, stack.endpoint_url), REGION) | aws


def stack_environment(place: Elsewhere) -> dict[str, str]:
    """What a process needs to know of a deployed stack; the credentials stay the caller's. Raises as `stack_client`."""
    session = _session_for(place)
    who = {"AWS_PROFILE": place.profile} if place.profile else {}
    return _environment(_described(session, place.stack), session.region_name) | who


def local_stack(start: Path) -> Stack:
    """The stack on this machine, to be looked at. Raises as `local_client`."""
    from cascade_flow.smoke.stack import Stack  # noqa: PLC0415  (boto3, a second)

    stack = _running(start)
    session = _session(stack.access_key, stack.secret_key, region_name=REGION)
    return Stack(stack.stack_name, local_client(start), session, stack.endpoint_url)


def deployed_stack(place: Elsewhere) -> Stack:
    """A stack in AWS, to be looked at. Raises as `stack_client`."""
    from cascade_flow.smoke.stack import Stack  # noqa: PLC0415  (boto3, a second)

    return Stack(place.stack, stack_client(place), _session_for(place))


def _running(start: Path) -> LocalStack:
    try:
        project = Project(find_root(start))
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; or name a stack in AWS: --stack") from error
    if state.read(project.home) is None:
        raise ConfigurationError(_NOTHING_RUNS)
    return running(project)


def _session_for(place: Elsewhere) -> boto3.Session:
    return _session(region_name=place.region, profile_name=place.profile)


def _session(
    key: str | None = None, secret: str | None = None, *, region_name: str | None, profile_name: str | None = None
) -> boto3.Session:
    """A session of boto3, which takes a second to import: what speaks to the stack on this machine needs none."""
    import boto3  # noqa: PLC0415
    from botocore.exceptions import ProfileNotFound  # noqa: PLC0415

    try:
        return boto3.Session(key, secret, region_name=region_name, profile_name=profile_name)
    except ProfileNotFound as error:
        cure = "set AWS_PROFILE to one that is there, or unset it"
        mended = "name one that is there in cascade.toml" if profile_name else cure
        raise ConfigurationError(f"{error}: {mended}") from error


def _described(session: boto3.Session, name: str, endpoint_url: str | None = None) -> StackTypeDef:
    from botocore.exceptions import (  # noqa: PLC0415
        BotoCoreError,
        ClientError,
        ConnectionError as NoConnection,
        HTTPClientError,
    )

    try:
        client = session.client("cloudformation", endpoint_url=endpoint_url)
        described = client.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        said = error.response["Error"].get("Message", "no reason given")
        raise ConfigurationError(
            f"the stack {name!r} can't be looked up: {said}. Check its name and region, and your AWS credentials"
        ) from error
    except (NoConnection, HTTPClientError) as error:
        raise BackendUnavailableError(f"AWS can't be reached to look up the stack {name!r}: {error}") from error
    except BotoCoreError as error:
        raise ConfigurationError(
            f"the stack {name!r} can't be looked up: {str(error).rstrip('.')}. "
            "Log in to AWS (aws configure, aws sso login), and give --region if it isn't yours"
        ) from error
    if _OUTPUT not in _outputs(described):
        raise ConfigurationError(f"the stack {name!r} has no output {_OUTPUT}: it is no stack of cascade-flow")
    return described


def _address(outputs: dict[str, str], endpoint_url: str) -> str:
    """Where the API answers. An emulator puts a name before its own, which not every machine can look up."""
    scheme, _, host = endpoint_url.partition("://")
    unknown = f"{scheme}://{outputs.get('ApiId')}.execute-api.{host}"
    return f"{endpoint_url}/_aws/execute-api/{outputs['ApiId']}" if outputs[_OUTPUT] == unknown else outputs[_OUTPUT]


def _outputs(described: StackTypeDef) -> dict[str, str]:
    return {str(each.get("OutputKey")): str(each.get("OutputValue")) for each in described.get("Outputs", [])}


def _environment(described: StackTypeDef, region: str | None) -> dict[str, str]:
    chosen = {str(e.get("ParameterKey")): str(e.get("ParameterValue")) for e in described.get("Parameters", [])}
    known = {name: (_outputs(described) | chosen).get(source) for name, source in _SETTINGS.items()}
    return {name: value for name, value in {**known, "AWS_DEFAULT_REGION": region}.items() if value}
