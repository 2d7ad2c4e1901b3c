"""Opens clients: lean ones, or boto3's where that is wished. No import of boto3 but for what only boto3 knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache, partial
from types import MappingProxyType
from typing import Any, Literal

from cascade_flow.aws import boto, environment
from cascade_flow.aws.clients import S3, Client, DynamoDB, Rare, Sqs, json_refusal, xml_refusal
from cascade_flow.aws.connections import Connections
from cascade_flow.aws.failures import NoCredentials, NoRegion, asked
from cascade_flow.aws.service import Place, Refusal, Service
from cascade_flow.errors import ConfigurationError
from cascade_flow.records import dataclass
from cascade_flow.signing import StaticKeys

Transport = Literal["lean", "boto3"]
Name = Literal["dynamodb", "sqs", "s3"]


@dataclass(frozen=True)
class Limits:
    """How long to wait for a connection and for an answer, and how often a request is sent."""

    connect_s: float
    read_s: float
    tries: int


LIMITS: Mapping[Name, Limits] = MappingProxyType(
    {"dynamodb": Limits(2, 5, 3), "sqs": Limits(3, 10, 4), "s3": Limits(3, 30, 6)}
)
"""DynamoDB's are few: a caller who waits is told soon, and who has the time asks again (`operations/patience`)."""
_KINDS: Mapping[Name, tuple[type[Client], Refusal]] = MappingProxyType(
    {"dynamodb": (DynamoDB, json_refusal), "sqs": (Sqs, json_refusal), "s3": (S3, xml_refusal)}
)


def open_client(service: Name, *, transport: Transport = "lean", limits: Limits | None = None) -> Any:
    """A client of a service. Raises ConfigurationError where nothing says the region."""
    limits = limits or LIMITS[service]
    try:
        if transport == "boto3":
            return asked(partial(boto.open_boto, service, **asdict(limits)))
        return lean(_place(service), limits)
    except NoRegion as error:
        raise ConfigurationError("nothing says the AWS region: set AWS_DEFAULT_REGION, or AWS_PROFILE") from error


def lean(place: Place, limits: Limits, *, rare: Rare | None = None) -> Client:
    """A lean client of a service at a place; `rare` opens boto3's where that is not the environment's own."""
    kind, refusal = _KINDS[place.name]  # type: ignore[index]
    connections = Connections(connect_s=limits.connect_s, read_s=limits.read_s)
    service = Service(place, connections.exchange, refusal, tries=limits.tries)
    opened = rare or partial(boto.open_boto, place.name, **asdict(limits))
    return kind(service, cache(opened), connections.close)


def _place(service: Name) -> Place:
    """Where to ask, and as whom: by the environment alone where it says all, else as boto3 finds it."""
    region = environment.region()
    url = region and environment.says_all() and environment.endpoint(service, region)
    if region and url:
        return Place(service, url.rstrip("/"), region, _current_keys)
    return asked(partial(boto.place_of, service))


def _current_keys() -> StaticKeys:
    keys = environment.keys()
    if keys is None:
        raise NoCredentials("the environment's keys are gone")
    return keys
