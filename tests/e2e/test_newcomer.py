"""A new user's path, from the wheel to a stack in the cloud, in a folder that has nothing else of this repository."""

from __future__ import annotations

import shlex
import signal
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.newcomer import Newcomer, build_wheel, environment_from_scratch, environment_of_ours, in_a_new_project
from e2e.waiting import until
from infra.written import ROOT, TEMPLATE

STACK = "cascade_flow/stack/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def newcomer(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    programs = environment_of_ours(tmp_path_factory.mktemp("environment") / "venv", wheel)
    with in_a_new_project(programs, tmp_path_factory.mktemp("home")) as somebody:
        yield somebody


@pytest.fixture(scope="module")
def newcomer_with_pip(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    programs = environment_from_scratch(tmp_path_factory.mktemp("environment") / "venv", wheel)
    with in_a_new_project(programs, tmp_path_factory.mktemp("home")) as somebody:
        yield somebody


def names_in(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


class TestTheWheel:
    def test_it_holds_all_that_is_deployed_as_it_is_written(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            held = {name.removeprefix(STACK): archive.read(name) for name in names_in(wheel) if name.startswith(STACK)}
        assert {name: (ROOT / name).read_bytes() for name in held} == held
        resources = [resource["Properties"] for resource in TEMPLATE["Resources"].values()]
        code = {f"{each['CodeUri']}/app.py" for each in resources if "CodeUri" in each}
        layer = {f"layers/framework/{name}" for name in ("build.py", "requirements.txt")}
        assert {"template.yaml", *code, *layer} <= set(held)

    def test_nothing_is_kept_twice(self, wheel: Path) -> None:
        assert not [name for name in names_in(wheel) if name.startswith(f"{STACK}layers/framework/cascade_flow")]
        [sdist] = wheel.parent.glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            files = [name.partition("/")[2] for name in archive.getnames()]
        assert not [name for name in files if name.startswith("backend/cascade_flow/stack")]
        assert {"template.yaml", "layers/framework/build.py", "functions/worker/app.py"} <= set(files)

    @pytest.mark.slow
    def test_the_checkout_makes_the_same_as_the_sdist(self, wheel: Path, tmp_path: Path) -> None:
        copy = tmp_path / "checkout"
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, listed.split("\0")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).symlink_to(ROOT / name)
        assert names_in(build_wheel(tmp_path / "dist", "--wheel")) == names_in(wheel)


def test_init_up_run_test_and_what_was_saved(newcomer: Newcomer) -> None:
    assert "There is no cascade.toml" in replace(newcomer, folder=newcomer.folder.parent).types(
        "cascade", "up", status=2
    )
    assert "No mistakes in 1 workflow." in newcomer.types("cascade", "check")
    newcomer.types("cascade", "up", "--port", newcomer.variables["PORT"])
    assert "Hello, world!" in newcomer.types("cascade", "run", "hello", "--watch")
    assert "2 passed" in newcomer.types("python", "-m", "pytest", "-q")
    newcomer.changes("my_flows/hello.py", "Hello, ", "Good day, ")
    newcomer.types("cascade", "up")
    below = replace(newcomer, folder=newcomer.folder / "my_flows")
    assert "Good day, Ada!" in below.types("cascade", "run", "hello", "--watch", "--input", '{"name": "Ada"}')


@pytest.mark.slow
class TestTheWholePath:
    def test_nothing_is_there_but_what_pip_installs(self, newcomer_with_pip: Newcomer) -> None:
        where = newcomer_with_pip.types("python", "-c", "import cascade_flow; print(cascade_flow.__file__)")
        assert where.startswith(str(newcomer_with_pip.programs.parent))
        test_init_up_run_test_and_what_was_saved(newcomer_with_pip)

    def test_dev(self, newcomer_with_pip: Newcomer) -> None:
        with newcomer_with_pip.starts("dev") as watching:
            assert watching.stdout is not None
            lines = iter(watching.stdout)
            until(lambda: "cascade down" in next(lines))
            newcomer_with_pip.changes("my_flows/hello.py", "Good day, ", "Hi, ")
            until(lambda: "deployed in" in next(lines))
            watching.send_signal(signal.SIGINT)
            assert watching.wait() == 130
        assert "Hi, world!" in newcomer_with_pip.types("cascade", "run", "hello", "--watch")

    def test_the_cloud(self, newcomer_with_pip: Newcomer) -> None:
        """What is built for Lambda can't run here, so that much is built only, and what runs here is deployed."""
        newcomer_with_pip.types("cascade", "build")
        exported = shlex.split(newcomer_with_pip.types("cascade", "env").replace("export ", ""))
        client = replace(newcomer_with_pip, variables=dict(pair.split("=", 1) for pair in exported))
        client.changes("cascade.toml", "[env.prod]", '[env.prod]\nplatform = "host"')
        deployed = client.answer("deploy", "--yes")
        assert (deployed["stack"], deployed["outputs"]["RegisteredWorkflows"]) == ("my-flows-prod", "hello")
        assert "has nothing to change" in client.types("cascade", "deploy")
        there = ("--stack", "my-flows-prod", "--region", "us-east-1")
        assert "Hi, world!" in client.types("cascade", "run", "hello", "--watch", *there)

        broken = 'raise RuntimeError("no voice")'
        client.changes("my_flows/hello.py", '    return f"{greeting}!', f'    {broken}\n    return f"{{greeting}}!')
        assert "✓" in client.types("cascade", "deploy", "--yes")
        failure = client.types("cascade", "run", "hello", "--watch", *there, status=1, of="stdout")
        assert "RuntimeError: no voice" in failure
        [failed] = client.answer("runs", "--status", "failed", *there)["runs"]
        client.changes("my_flows/hello.py", f"    {broken}\n", "")
        client.types("cascade", "deploy", "--yes")
        told = client.types("cascade", "rerun", failed["runId"], "--from", "message", "--yes", "--watch", *there)
        assert "Hi, world!" in told
        client.types("cascade", "doctor", *there)
