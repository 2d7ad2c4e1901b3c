"""What `cascade dev` waits for: a change of something that is deployed, once it has come to rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cascade_flow import clock
from cascade_flow.local import watch

CONFIG = 'stack = "mine"\npackage = "flows"\n'


class Saving:
    """A clock under which somebody saves files: at each pause, the next of them."""

    def __init__(self, *saves: Any) -> None:
        self.saves, self.us = list(saves), 1

    def now_us(self) -> int:
        return self.us

    def pause_us(self, us: int) -> None:
        self.us += us
        if self.saves:
            self.saves.pop(0)()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "cascade.toml").write_text(CONFIG)
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows/a.py").write_text("a = 1")
    return tmp_path


def saved(root: Path, *saves: Any) -> list[str]:
    before = watch.seen(root)
    with clock.use(Saving(*saves)):
        return watch.until_saved(root, before)


def write(path: Path, text: str) -> Any:
    return lambda: path.write_text(text)


def test_what_is_deployed_is_watched_and_nothing_else(root: Path) -> None:
    others = [root / "README.md", root / "flows/.a.py.swp", root / "tests.py"]
    found = saved(root, *(write(path, "x") for path in others), write(root / "requirements.txt", "boto3"))
    assert found == ["requirements.txt"]


def test_lists_of_packages_are_watched_that_a_list_names(root: Path) -> None:
    (root / "requirements.txt").write_text("-r lists/base.txt\nboto3\n")
    (root / "lists").mkdir()
    (root / "lists/base.txt").write_text("--constraint=pins.txt\n-r ../requirements.txt\n")
    (root / "lists/pins.txt").write_text("httpx==0.27")
    assert saved(root, write(root / "lists/pins.txt", "httpx==0.28.1")) == ["lists/pins.txt"]


def test_what_lies_outside_of_the_project_is_named_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "src/flows").mkdir(parents=True)
    (tmp_path / "src/flows/a.py").write_text("a = 1")
    (tmp_path / "project").mkdir()
    (tmp_path / "project/cascade.toml").write_text(f'{CONFIG}folder = "../src"\n')
    assert saved(tmp_path / "project", write(tmp_path / "src/flows/a.py", "a = 22")) == ["../src/flows/a.py"]


def test_files_that_are_saved_one_after_another_are_one_save(root: Path) -> None:
    new, old = root / "flows/b.py", root / "flows/a.py"
    assert saved(root, write(old, "a = 22"), write(new, "b = 1"), old.unlink) == ["flows/a.py", "flows/b.py"]


def test_a_config_that_makes_no_sense_for_a_while_hides_nothing(root: Path) -> None:
    broken = root / "cascade.toml"
    assert saved(root, write(broken, "pakage")) == ["cascade.toml"]
    before = {**watch.seen(root, [root / "flows/a.py"])}
    assert root / "flows/a.py" in before
    with clock.use(Saving(write(root / "flows/a.py", "a = 333"))):
        assert watch.until_saved(root, before) == ["flows/a.py"]
