"""Finds the API that is meant, and opens a client for it: the local stack's, a stack's in AWS by name, or an address's.

Nothing is started, deployed or changed here.
"""

from __future__ import annotations

from pathlib import Path

import boto3
import botocore.session
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError as NoConnection, HTTPClientError

from cascade_flow.client import Client
from cascade_flow.errors import BackendUnavailableError, ConfigurationError
from cascade_flow.local import state
from cascade_flow.local.lifecycle import running
from cascade_flow.local.project import Project, find_root
from cascade_flow.local.state import ACCESS_KEY, REGION, SECRET_KEY

_OUTPUT = "ApiUrl"
_NOTHING_RUNS = "no local engine is running: start it with `cascade up`, or name a stack with --stack"


def local_client(start: Path) -> Client:
    """A client of the stack that runs on this machine, for the project that `start` lies in.

    Raises ConfigurationError where none was started, BackendUnavailableError where it has died.
    """
    try:
        project = Project(find_root(start))
    except ConfigurationError as error:
        raise ConfigurationError(_NOTHING_RUNS) from error
    if state.read(project.home) is None:
        raise ConfigurationError(_NOTHING_RUNS)
    session = botocore.session.Session()
    session.set_credentials(ACCESS_KEY, SECRET_KEY)
    return Client(running(project).api_url, region=REGION, session=session)


def stack_client(name: str, *, region: str | None) -> Client:
    """A client of a deployed stack, with the caller's AWS credentials.

    Raises ConfigurationError where there is no such stack or it can't be asked for, BackendUnavailableError where AWS
    doesn't answer.
    """
    try:
        session = boto3.Session(region_name=region)
        described = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
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
    urls = [str(each["OutputValue"]) for each in described.get("Outputs", []) if each.get("OutputKey") == _OUTPUT]
    if not urls:
        raise ConfigurationError(f"the stack {name!r} has no output {_OUTPUT}: it is no stack of cascade-flow")
    return Client(urls[0], region=session.region_name, session=session)


def address_client(url: str, *, region: str | None) -> Client:
    """A client of the API at an address, with the caller's AWS credentials. Raises ConfigurationError."""
    return Client(url, region=region)
