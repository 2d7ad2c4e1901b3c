"""The environment is read once, whole, and what is wrong in it is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cascade_flow.engine.state import Timing
from cascade_flow.errors import ConfigurationError
from cascade_flow.operations.runtime import Runtime
from cascade_flow.settings import Settings, open_backend


def test_what_is_not_said_has_a_default() -> None:
    assert Settings.read({"CASCADE_TABLE": "runs", "CASCADE_BUCKET": "", "HOME": "x"}) == Settings(table="runs")


def test_days_and_milliseconds_become_microseconds() -> None:
    timing = Settings.read({"CASCADE_LEASE_MS": "90000", "CASCADE_RETENTION_DAYS": "2"}).timing
    assert (timing.lease_us, timing.retention_us) == (90_000_000, 2 * 86_400_000_000)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("CASCADE_LEASE_MS", "soon", "integer"),
        ("CASCADE_LEASE_MS", "999", "1000"),
        ("CASCADE_RETENTION_DAYS", "0", "1"),
        ("CASCADE_HEARTBEAT_MS", "30001", "half of a lease"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is wrong: .*{why}"):
        Settings.read({name: value})


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment that says nothing of an engine or of AWS."""
    for name in [name for name in os.environ if name.startswith(("CASCADE_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    return monkeypatch


@pytest.mark.parametrize(
    ("known", "missing"),
    [
        ({}, ["CASCADE_TABLE", "CASCADE_QUEUE_URL", "CASCADE_BUCKET", "AWS_DEFAULT_REGION"]),
        ({"CASCADE_BUCKET": "b", "AWS_REGION": "eu-central-1"}, ["CASCADE_TABLE", "CASCADE_QUEUE_URL"]),
        ({"CASCADE_TABLE": "", "AWS_PROFILE": "p"}, ["CASCADE_TABLE", "CASCADE_QUEUE_URL", "CASCADE_BUCKET"]),
    ],
)
def test_a_backend_that_nothing_describes_names_all_that_is_missing(
    bare: pytest.MonkeyPatch, known: dict[str, str], missing: list[str]
) -> None:
    for name, value in known.items():
        bare.setenv(name, value)
    with pytest.raises(ConfigurationError, match="cascade env") as caught:
        open_backend()
    assert f": {', '.join(missing)} are not set." in caught.value.message


def test_where_nobody_says_how_long_things_may_take_it_is_as_usual() -> None:
    usual, other = Runtime.open("runs", client=object()), Timing(lease_us=5_000_000)
    assert usual.timing == Timing()
    assert Runtime.open("runs", client=object(), timing=other).timing == other
    assert (usual.ledger.table.name, usual.registry is None, usual.payloads is None) == ("runs", False, False)


def test_a_backend_without_a_region_says_so(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("CASCADE_TABLE", "runs")
    with pytest.raises(ConfigurationError, match="AWS_DEFAULT_REGION"):
        open_backend()
    bare.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert open_backend().runtime.ledger.table.name == "runs"
