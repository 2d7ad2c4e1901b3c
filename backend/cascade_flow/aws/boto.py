"""boto3, imported when it is first needed: the other client for everything, and who knows profiles and partitions."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cascade_flow.aws.connections import KEPT
from cascade_flow.aws.failures import NoCredentials
from cascade_flow.aws.service import Place

if TYPE_CHECKING:
    from cascade_flow.signing import Keys

_OF_S3: Mapping[str, Any] = MappingProxyType(
    {
        "signature_version": "s3v4",
        "s3": {"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
    }
)
"""Signatures of Version 4, and the region's own host, also in addresses: those of a bucket in its first hours are
redirected to it from everywhere else, where the signature is not theirs any more.
"""


def open_boto(service: str, *, connect_s: float, read_s: float, tries: int) -> Any:
    """boto3's client, by its usual configuration and the SDK's standard retries."""
    return _opened(_session(), service, connect_s=connect_s, read_s=read_s, tries=tries)


def place_of(service: str) -> Place:
    """Where boto3 would ask, and as whom."""
    session = _session()
    meta = _opened(session, service).meta

    def keys() -> Keys:
        found = session.get_credentials()
        if found is None:
            raise NoCredentials("Unable to locate credentials")
        frozen: Keys = found.get_frozen_credentials()
        return frozen

    return Place(service, meta.endpoint_url, meta.region_name, keys)


def _session() -> Any:
    import boto3  # noqa: PLC0415  (half a second that the hot functions don't pay)

    return boto3.Session()


def _opened(session: Any, service: str, *, connect_s: float = 3, read_s: float = 10, tries: int = 1) -> Any:
    from botocore.config import Config  # noqa: PLC0415

    retries: Any = {"mode": "standard", "total_max_attempts": tries}
    waits = Config(connect_timeout=connect_s, read_timeout=read_s, retries=retries, max_pool_connections=KEPT)
    return session.client(service, config=waits.merge(Config(**_OF_S3)) if service == "s3" else waits)
