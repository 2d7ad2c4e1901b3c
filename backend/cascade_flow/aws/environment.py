"""AWS's own variables, as its SDKs read them: who asks, where, and on which way. What is not plain is left to boto3."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cascade_flow.signing import StaticKeys

_SUFFIXES = {"amazonaws.com.cn": r"cn-\w+-\d", "amazonaws.com": r"(af|ap|ca|eu|il|me|mx|sa|us)(-gov)?-[a-z]+-\d"}
_UNUSUAL = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")


def keys() -> StaticKeys | None:
    """The credentials that the environment holds now; None where they come from elsewhere."""
    given = os.environ
    access, secret = given.get("AWS_ACCESS_KEY_ID"), given.get("AWS_SECRET_ACCESS_KEY")
    return StaticKeys(access, secret, given.get("AWS_SESSION_TOKEN") or None) if access and secret else None


def region() -> str | None:
    """Where to ask; None where only a profile may know."""
    return os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION") or None


def says_all() -> bool:
    """Whether the environment alone says who asks and where: as in Lambda, and nowhere that has a file of profiles."""
    given = os.environ
    profiles = Path(given.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    unusual = any(given.get(name, "").lower() == "true" for name in _UNUSUAL)
    return keys() is not None and region() is not None and not unusual and not profiles.exists()


def endpoint(service: str, region: str) -> str | None:
    """The address of a service; None for a region of a partition that only boto3 knows."""
    given = os.environ
    if given.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true":
        named = given.get(f"AWS_ENDPOINT_URL_{service.upper()}") or given.get("AWS_ENDPOINT_URL")
        if named:
            return named
    suffix = next((suffix for suffix, regions in _SUFFIXES.items() if re.fullmatch(regions, region)), None)
    return suffix and f"https://{service}.{region}.{suffix}"


def proxy(url: str) -> str | None:
    """The proxy that leads to an address, where one is named."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib import request  # noqa: PLC0415  (few have one)

    address, known = urlsplit(url), request.getproxies_environment()
    passed_by: Any = request.proxy_bypass_environment  # type: ignore[attr-defined]
    return None if passed_by(address.netloc, known) else known.get(address.scheme)


def authorities() -> str | None:
    """The file of certificates that is to be believed, where one is named."""
    return os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or None
