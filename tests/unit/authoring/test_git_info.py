"""The commit that code comes from, asked of the real git."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cascade_flow.authoring import git_info

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs the git program")


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=trunk"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    git(tmp_path, "init")
    (tmp_path / "flows.py").write_text("x = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    return tmp_path


def test_a_clean_tree_is_its_commit_and_branch(tree: Path) -> None:
    info = git_info(tree / "flows.py")
    assert info is not None
    assert (info.commit, info.branch, info.dirty) == (git(tree, "rev-parse", "HEAD"), "trunk", False)


def test_a_changed_or_new_file_makes_it_dirty(tree: Path) -> None:
    (tree / "new.py").write_text("")
    info = git_info(tree)
    assert info is not None
    assert info.dirty


def test_a_detached_head_has_no_branch_of_its_own(tree: Path) -> None:
    git(tree, "checkout", "--detach")
    info = git_info(tree)
    assert info is not None
    assert info.branch == "HEAD"


def test_no_work_tree_no_commit_or_no_git_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_info(tmp_path) is None
    git(tmp_path, "init")
    assert git_info(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert git_info(tmp_path) is None
