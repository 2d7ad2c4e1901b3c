"""The environment is read once, whole, and what is wrong in it is named."""

from __future__ import annotations

import pytest

from cascade_flow.errors import ConfigurationError
from cascade_flow.settings import Settings


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
