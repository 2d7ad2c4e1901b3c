"""A deployed stack as it is looked at: its resources by their names in the template, and clients for each service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3

from cascade_flow.backend import DynamoDBBackend
from cascade_flow.client import Client
from cascade_flow.errors import ConfigurationError
from cascade_flow.offload import Bucket

_FUNCTION = "AWS::Lambda::Function"


@dataclass(frozen=True)
class Stack:
    """`name` as CloudFormation has it; `api` speaks to it over HTTP; `session` and `endpoint_url` reach AWS."""

    name: str
    api: Client
    session: boto3.Session
    endpoint_url: str | None = None

    @property
    def is_emulated(self) -> bool:
        return self.endpoint_url is not None

    def client(self, service: Any) -> Any:
        """A client of this service of AWS, where the stack is."""
        return self.session.client(service, endpoint_url=self.endpoint_url)

    @cached_property
    def _resources(self) -> list[Mapping[str, Any]]:
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        return [resource for page in pages for resource in page["StackResourceSummaries"]]

    def id_of(self, name: str) -> str:
        """What a resource of the template is called in AWS. Raises ConfigurationError where the stack has none."""
        for each in self._resources:
            if each["LogicalResourceId"] == name:
                return str(each["PhysicalResourceId"])
        raise ConfigurationError(f"the stack {self.name} has no {name}: deploy the template of this release")

    def ids_of(self, kind: str) -> list[str]:
        """What all resources of a type are called."""
        return [str(each["PhysicalResourceId"]) for each in self._resources if each["ResourceType"] == kind]

    @property
    def functions(self) -> list[Mapping[str, Any]]:
        """How each function is configured."""
        client = self.client("lambda")
        return [client.get_function_configuration(FunctionName=name) for name in self.ids_of(_FUNCTION)]

    def function(self, name: str) -> Mapping[str, Any]:
        """How one is configured."""
        found: Mapping[str, Any] = self.client("lambda").get_function_configuration(FunctionName=self.id_of(name))
        return found

    @cached_property
    def backend(self) -> DynamoDBBackend:
        """The engine's operations on the stack's table and bucket, with your credentials."""
        bucket = Bucket(self.id_of("Bucket"), client=self.client("s3"))
        return DynamoDBBackend(self.id_of("Table"), client=self.client("dynamodb"), bucket=bucket)
