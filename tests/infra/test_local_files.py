"""What the local stack makes of a project's files, before anything is started."""

from __future__ import annotations

import signal
import stat
import zipfile
from pathlib import Path

import pytest

from cascade_flow import clock
from cascade_flow.errors import BackendUnavailableError, ConfigurationError
from cascade_flow.local import LocalStack, Project, artifacts, down, emulator, find_root, running, state, up
from simulation import TickingClock

CONFIG = 'stack = "mine"\npackage = "workflows"\nfolder = "examples"\nsources = "."\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "cascade.toml").write_text(CONFIG)
    (tmp_path / "template.yaml").write_text("Parameters:\n  LeaseMs: {Type: Number}\n\n  GraceMs:\nResources: {}\n")
    (tmp_path / "examples/workflows").mkdir(parents=True)
    (tmp_path / "examples/workflows/__init__.py").write_text("x = 1\n")
    return Project(tmp_path)


def said(project: Project, more: str) -> Project:
    (project.root / "cascade.toml").write_text(CONFIG + more)
    return Project(project.root)


class TestProject:
    def test_is_found_from_below(self, project: Project) -> None:
        assert find_root(project.root / "examples/workflows") == project.root

    def test_elsewhere_there_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"no cascade\.toml in .*cascade init NAME"):
            find_root(tmp_path)

    def test_parameters_are_of_the_environment_and_overrides_win(self, project: Project) -> None:
        said(project, "[env.local.parameters]\nLeaseMs = 1\nGraceMs = 2\n[env.prod]\nparameters = {LeaseMs = 9}\n")
        local = Project(project.root, overrides={"GraceMs": "3"})
        assert (local.parameters["LeaseMs"], local.parameters["GraceMs"]) == ("1", "3")
        assert (local.stack_name, local.parameters["RequireTls"]) == ("mine", "false")
        prod = Project(project.root, env="prod")
        assert prod.parameters == {"WorkflowsPackage": "workflows", "WorkflowsDir": "examples", "LeaseMs": "9"}
        assert prod.stack_name == "mine-prod"
        said(project, "[env.ci]\nplatform = 'host'\n")
        assert Project(project.root, env="ci").parameters["RequireTls"] == "false", "emulators speak plain HTTP"

    def test_an_environment_that_is_not_there_is_told(self, project: Project) -> None:
        with pytest.raises(ConfigurationError, match=r"no environment 'prd' \(there is: prod\)"):
            _ = Project(said(project, "[env.prod]\n").root, env="prd").parameters

    @pytest.mark.parametrize(
        ("more", "told"),
        [
            ("pakage = 3", "cascade.toml, line 5: pakage: there is no such setting; is package meant?"),
            ("include = [3]", "line 5: include.0: Input should be a valid string"),
            ("[env.prod]\nregoin = 'x'", "line 6: env.prod.regoin: there is no such setting; is region meant?"),
            ("[env.local]\nregion = 'x'", "line 6: env.local.region: the stack on this machine has none"),
            ("[env.local.parameters]\nLeesMs = 1", "line 6: env.local.parameters.LeesMs: .*is LeaseMs meant"),
            ("[env.local.parameters]\nGit = 'x'", "line 6: env.local.parameters.Git: .* git itself is asked"),
            ("[env.local.parameters]\nLeaseMs = [1]", "line 6: env.local.parameters.LeaseMs: give a text, a number"),
            ("[env.prod]\nstack = 'a_b'", "line 6: env.prod.stack: 'a_b' won't do: give letters, digits and hyphens"),
            ("[env.prod]\nregoin = 1\nprofil = 2", "There are 2 mistakes in cascade.toml:\n  line 6: .*\n  line 7: "),
            ("[env", "can't be read: Expected"),
        ],
    )
    def test_what_makes_no_sense_is_named_with_its_place(self, project: Project, more: str, told: str) -> None:
        with pytest.raises(ConfigurationError, match=told):
            list(up(said(project, more)))

    def test_says_where_it_looked_for_the_workflows(self, project: Project) -> None:
        lost = Project(project.root, overrides={"WorkflowsPackage": "elsewhere.flows"})
        with pytest.raises(ConfigurationError, match=r"no 'elsewhere' in .*examples.*`package` that names"):
            list(up(lost))
        with pytest.raises(ConfigurationError, match=r"no 'shared' in .*examples.*`include` that names"):
            list(up(said(project, "include = ['shared']")))


class TestArtifacts:
    def test_workflows_lie_where_a_layer_is_read(self, project: Project) -> None:
        (project.workflows_dir / "data.csv").write_text("1\n")
        (project.workflows_dir / "tests").mkdir()
        (project.workflows_dir / "tests/test_it.py").write_text("")
        (project.workflows_dir / ".hidden").write_text("")
        (project.workflows_dir / "workflows/__pycache__").mkdir()
        (project.workflows_dir / "workflows/__pycache__/x.pyc").write_bytes(b"")
        including = said(project, "include = ['data.csv']")
        zipped = artifacts.workflows(including, artifacts.this_machine(including))
        names = zipfile.ZipFile(zipped.path).namelist()
        assert names == ["python/data.csv", "python/workflows/__init__.py"]

    def test_same_content_is_the_same_zip_and_other_content_replaces_it(self, project: Project) -> None:
        first = artifacts.workflows(project, artifacts.this_machine(project))
        assert artifacts.workflows(project, artifacts.this_machine(project)) == first
        (project.workflows_dir / "workflows/__init__.py").write_text("x = 2\n")
        second = artifacts.workflows(project, artifacts.this_machine(project))
        assert second.key != first.key
        assert second.path.exists()
        assert not first.path.exists()

    def test_a_function_without_code_is_named(self, project: Project) -> None:
        with pytest.raises(ConfigurationError, match=r"functions/claim/app\.py is missing"):
            artifacts.function(project, "functions/claim", artifacts.this_machine(project))


class TestState:
    def test_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        stack = LocalStack(pid=7, port=4566, stack_name="cascade").deployed("f", {"ApiId": "abc"})
        state.write(tmp_path / "home", stack)
        assert state.read(tmp_path / "home") == stack
        assert stack.api_url == "http://127.0.0.1:4566/_aws/execute-api/abc"

    def test_holds_a_secret_that_its_owner_alone_can_read(self, tmp_path: Path) -> None:
        stack = LocalStack(7, 4566, "cascade", "LOCALKEY", "s3cret")
        (tmp_path / f"{state.STATE_FILE}.new").touch(mode=0o644)
        state.write(tmp_path, stack)
        assert stat.S_IMODE((tmp_path / state.STATE_FILE).stat().st_mode) == 0o600
        assert state.read(tmp_path) == stack
        assert "s3cret" not in repr(stack)

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"stranger": 1}'])
    def test_what_makes_no_sense_is_nothing(self, tmp_path: Path, text: str) -> None:
        (tmp_path / state.STATE_FILE).write_text(text)
        assert state.read(tmp_path) is None

    def test_where_nothing_was_started_there_is_nothing_to_use_or_to_end(self, project: Project) -> None:
        with pytest.raises(BackendUnavailableError, match="cascade up"):
            running(project)
        assert list(down(project)) == []

    def test_one_that_an_older_version_left_is_told_what_to_do(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        older = '{"pid": 7, "port": 4566, "stack_name": "cascade", "fingerprint": "f", "outputs": {"ApiId": "a"}}'
        project.home.mkdir()
        (project.home / state.STATE_FILE).write_text(older)
        monkeypatch.setattr(emulator, "answers", lambda *_: True)
        monkeypatch.setattr(emulator, "is_installed", lambda *_: True)
        for ask in (lambda: list(up(project)), lambda: running(project)):
            with pytest.raises(ConfigurationError, match=r"older version.*cascade down, then cascade up"):
                ask()
        assert (project.home / state.STATE_FILE).read_text() == older
        assert len(list(down(project))) == 1

    def test_one_that_was_never_whole_is_no_dead_one(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        state.write(project.home, LocalStack(7, 4566, "cascade", "LOCALKEY", "s3cret"))
        monkeypatch.setattr(emulator, "answers", lambda *_: True)
        with pytest.raises(BackendUnavailableError, match=r"nothing is deployed.*go on: cascade up"):
            running(project)

    def test_who_ends_it_waits_for_what_dies_slowly(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        signs: list[signal.Signals] = []
        left = [(4711, 4711, "python -m ministack")]

        def ours(home: Path) -> list[tuple[int, int, str]]:
            if signs.count(signal.SIGKILL) > 200:
                left.clear()
            return left

        monkeypatch.setattr(emulator, "_ours", ours)
        monkeypatch.setattr(emulator, "_signal", lambda pid, sign: signs.append(sign))
        with clock.use(TickingClock()):
            emulator.stop(project.home)
        assert not left
        assert signs[0] == signal.SIGTERM
