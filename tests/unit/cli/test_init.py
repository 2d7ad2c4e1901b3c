"""`cascade init`: a new project is whole, and nothing that exists is written over."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cascade_flow.cli import exits
from cascade_flow.cli.app import run
from cascade_flow.local import Project, checking
from cascade_flow.local.sources import shipped

WORKFLOW = (
    'from cascade_flow import Workflow\n\nflow = Workflow("orders")\n\n\n@flow.step\ndef read() -> int:\n    return 1\n'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "team-repo").mkdir()
    monkeypatch.chdir(tmp_path / "team-repo")
    return tmp_path / "team-repo"


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a refused command says."""
    assert run(["init", *arguments]) == exits.WRONG_USE
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


class TestNew:
    @pytest.fixture
    def made(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> Project:
        assert run(["init", "my-flows"]) == exits.OK
        assert "cascade run hello --watch" in capsys.readouterr().out
        return Project(folder / "my-flows")

    def test_it_is_sound_and_reads_the_stack_that_came_with_the_command(self, made: Project) -> None:
        assert [each.workflow_slug for each in checking.require_sound(made)] == ["hello"]
        assert (made.stack_name, made.workflows_package) == ("my-flows", "my_flows")
        assert made.sources == shipped()
        assert (made.home / ".gitignore").read_text() == "*\n"
        assert Project(made.root, env="prod").stack_name == "my-flows-prod"

    def test_what_it_offers_in_comments_is_taken_as_it_stands(self, made: Project) -> None:
        config = made.root / "cascade.toml"
        offered = [line.removeprefix("# ") if " = " in line else line for line in config.read_text().splitlines()]
        config.write_text("\n".join(offered).replace("shared", "tests"))
        assert Project(made.root).parameters["WorkerConcurrency"] == "8"
        assert Project(made.root, env="prod").parameters["WorkerMemory"] == "1024"
        assert Project(made.root, env="prod").environment.region == "eu-central-1"
        assert [path.name for path in Project(made.root).deployed] == ["my_flows", "tests"]

    def test_its_own_tests_pass(self, made: Project) -> None:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        ended = subprocess.run(command, cwd=made.root, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout

    def test_a_readme_of_ten_lines_names_what_works(self, made: Project) -> None:
        readme = (made.root / "README.md").read_text()
        assert len(readme.splitlines()) <= 10
        for verb in ("up", "run", "dev", "deploy"):
            assert f"cascade {verb}" in readme

    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("2fast", "can't be a project's name"),
            ("my flows", "can't be a project's name"),
            ("class", "can't be a project's name"),
            ("json", "The package would be called 'json'"),
            ("tests", "The package would be called 'tests'"),
            (".", "isn't empty.*--here"),
            ("there", "there is there already, and isn't empty.*--here"),
            ("file", "file is there already"),
            ("file/below", "below/cascade.toml can't be written"),
        ],
    )
    def test_what_can_not_be_made_is_told(
        self, folder: Path, capsys: pytest.CaptureFixture[str], name: str, told: str
    ) -> None:
        (folder / "there").mkdir()
        (folder / "there/mine").touch()
        (folder / "file").touch()
        assert re.search(told, complaint(capsys, name))
        assert sorted(path.name for path in folder.rglob("*")) == ["file", "mine", "there"]

    @pytest.mark.parametrize("arguments", [[], ["x", "--here"], ["x", "--package", "y"]])
    def test_what_is_meant_must_be_said(
        self, folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
    ) -> None:
        assert re.search("--here|--package goes with", complaint(capsys, *arguments))
        assert list(folder.iterdir()) == []


class TestHere:
    @pytest.mark.parametrize("home", [".", "src"])
    def test_the_package_that_declares_workflows_is_taken_up(
        self, folder: Path, capsys: pytest.CaptureFixture[str], home: str
    ) -> None:
        package = folder / home / "orders"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "flow.py").write_text(WORKFLOW)
        (folder / "tests").mkdir()
        (folder / "tests/__init__.py").write_text(WORKFLOW)
        assert run(["init", "--here", "--json"]) == exits.OK
        assert json.loads(capsys.readouterr().out)["files"] == [str(folder / "cascade.toml")]
        made = Project(folder)
        assert (made.stack_name, made.workflows_package, made.deployed) == ("team-repo", "orders", [package])
        assert [each.workflow_slug for each in checking.require_sound(made)] == ["orders"]

    def test_of_several_one_must_be_named(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "bills.py").write_text(WORKFLOW)
        (folder / "orders.py").write_text(WORKFLOW)
        assert "Several packages here declare workflows: bills, orders." in complaint(capsys, "--here")
        assert "no package 'bill' here" in complaint(capsys, "--here", "--package", "bill")
        assert run(["init", "--here", "--package", "bills"]) == exits.OK
        assert Project(folder).workflows_package == "bills"

    def test_where_there_is_none_or_a_project_already(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "No package here" in complaint(capsys, "--here")
        (folder / "cascade.toml").write_text("mine")
        assert "cascade.toml is here already" in complaint(capsys, "--here")
        assert (folder / "cascade.toml").read_text() == "mine"
