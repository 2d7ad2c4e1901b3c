"""The built page that is committed is what its sources make, and these are sound: Node is asked, users need none."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from cascade_flow.console import page
from node import CONSOLE, modules, node


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """What the lock names, and nothing else."""
    modules()


def test_a_fresh_build_is_the_committed_one(tmp_path: Path) -> None:
    node("run", "build", CONSOLE_OUT=str(tmp_path))
    built = {f"/{path.relative_to(tmp_path)}": path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    differing = [name for name in {**built, **page.files()} if built.get(name) != page.files().get(name)]
    assert not differing, f"{differing}: cd console && npm run build, and commit what it makes"


def test_the_first_load_is_small() -> None:
    sizes = {name: len(gzip.compress(content)) for name, content in page.files().items()}
    assert sum(sizes.values()) <= 300_000, sizes


def test_types_are_those_of_the_api() -> None:
    node("run", "check")


def test_what_computes_is_right() -> None:
    assert re.search(r"Tests\s+\S*\d+ passed", re.sub(r"\x1b\[[0-9;]*m", "", node("test")))


def test_the_lock_names_no_host() -> None:
    lock = json.loads((CONSOLE / "package-lock.json").read_text())
    assert lock["packages"]
    assert [name for name, each in lock["packages"].items() if "resolved" in each] == []
    assert [name for name, each in lock["packages"].items() if name and "integrity" not in each] == []
