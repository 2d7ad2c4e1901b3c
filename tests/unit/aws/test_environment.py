"""AWS's own variables say who asks, where, and on which way, or that somebody else knows more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cascade_flow.aws import environment
from cascade_flow.signing import StaticKeys

Given = dict[str, str]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Given:
    """All variables that there are: they say everything, and the home has no files."""
    told = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
    told |= {"AWS_REGION": "eu-west-1", "HOME": str(tmp_path)}
    monkeypatch.setattr(os, "environ", told)
    return told


@pytest.mark.parametrize(("told", "token"), [("token", "token"), ("", None)])
def test_keys_come_with_their_token(given: Given, told: str, token: str | None) -> None:
    given["AWS_SESSION_TOKEN"] = told
    assert environment.keys() == StaticKeys("AKIDEXAMPLE", "secret", token)


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_of_the_keys_are_none(given: Given, missing: str) -> None:
    given[missing] = ""
    assert environment.keys() is None
    assert not environment.says_all()


def test_where_the_variables_say_all_nobody_else_is_asked(given: Given) -> None:
    assert environment.says_all()
    del given["AWS_REGION"]
    assert not environment.says_all()


@pytest.mark.parametrize("name", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_what_is_unusual_somebody_else_knows(given: Given, name: str) -> None:
    for value, says_all in (("false", True), ("True", False)):
        given[name] = value
        assert environment.says_all() is says_all


def test_a_file_of_profiles_may_say_more(given: Given, tmp_path: Path) -> None:
    usual, named = tmp_path / ".aws" / "config", tmp_path / "named"
    usual.parent.mkdir()
    usual.touch()
    assert not environment.says_all()
    given["AWS_CONFIG_FILE"] = str(named)
    assert environment.says_all()
    named.touch()
    assert not environment.says_all()


def test_named_addresses_can_be_ignored(given: Given) -> None:
    given |= {"AWS_ENDPOINT_URL": "http://named.invalid", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "True"}
    assert environment.endpoint("sqs", "eu-west-1") == "https://sqs.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("told", "url", "proxy"),
    [
        ({}, "https://a.invalid/", None),
        ({"HTTPS_PROXY": "http://proxy:1"}, "https://a.invalid/", "http://proxy:1"),
        ({"HTTPS_PROXY": "http://proxy:1"}, "http://a.invalid/", None),
        ({"http_proxy": "http://plain:1", "https_proxy": "http://proxy:1"}, "https://a.invalid/", "http://proxy:1"),
        ({"http_proxy": "http://plain:1", "https_proxy": "http://proxy:1"}, "http://a.invalid/", "http://plain:1"),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "a.invalid"}, "https://a.invalid/", None),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "a.invalid"}, "https://b.invalid/", "http://proxy:1"),
    ],
)
def test_a_proxy_leads_to_what_it_is_named_for(given: Given, told: Given, url: str, proxy: str | None) -> None:
    given |= told
    assert environment.proxy(url) == proxy


def test_whom_to_believe_is_named_by_awss_own_variable_first(given: Given) -> None:
    assert environment.authorities() is None
    given["REQUESTS_CA_BUNDLE"] = "theirs"
    assert environment.authorities() == "theirs"
    given["AWS_CA_BUNDLE"] = "ours"
    assert environment.authorities() == "ours"
