"""Where a stack is, or is to be: whose AWS, which region, under which name. The emulator's place is one of these."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError as NoConnection, HTTPClientError

from cascade_flow.errors import BackendUnavailableError, ConfigurationError
from cascade_flow.local.project import Project
from cascade_flow.local.state import REGION, LocalStack


@dataclass(frozen=True)
class Place:
    """A stack's name, and the way to the AWS that has it."""

    session: boto3.Session
    stack_name: str
    endpoint_url: str | None = None

    @property
    def region(self) -> str:
        return str(self.session.region_name)

    @property
    def profile(self) -> str | None:
        """The profile whose credentials are used, if not the default one."""
        named = str(self.session.profile_name)
        return None if named == "default" else named

    def client(self, service: Any) -> Any:
        return self.session.client(service, endpoint_url=self.endpoint_url)


def here(stack: LocalStack) -> Place:
    """The stack on this machine."""
    session = boto3.Session(stack.access_key, stack.secret_key, region_name=REGION)
    return Place(session, stack.stack_name, stack.endpoint_url)


def in_aws(project: Project, *, stack: str | None = None, region: str | None = None) -> Place:
    """Where the project's environment says, unless another stack or region is named.

    ConfigurationError where nobody says a region, or the profile isn't there.
    """
    environment = project.environment
    with explained("find your account"):
        session = boto3.Session(profile_name=environment.profile, region_name=region or environment.region)
    if session.region_name is None:
        raise ConfigurationError(
            f"Nobody says in which region of AWS to deploy. Say so: region under [env.{project.env}] in cascade.toml, "
            "or --region"
        )
    return Place(session, stack or project.stack_name)


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """What AWS, or the way to it, says against `doing` something becomes a line that tells so, and what to do."""
    try:
        yield
    except ClientError as error:
        said = error.response["Error"].get("Message") or error.response["Error"].get("Code", "no reason given")
        raise ConfigurationError(f"AWS refused to {doing}: {said}") from error
    except (NoConnection, HTTPClientError) as error:
        raise BackendUnavailableError(f"AWS can't be reached to {doing}: {error}") from error
    except BotoCoreError as error:
        raise ConfigurationError(
            f"AWS can't be asked to {doing}: {str(error).rstrip('.')}. Log in to AWS (aws configure, aws sso login)"
        ) from error
