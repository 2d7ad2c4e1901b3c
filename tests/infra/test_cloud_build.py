"""What `cascade build` makes for AWS: complete, for Lambda's platform, the same each time, and named by a template."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cascade_flow.errors import ConfigurationError
from cascade_flow.local import Project, artifacts, cloud_build, layer_checks
from cascade_flow.local.cloud_build import Made
from cascade_flow.local.sources import FRAMEWORK
from cascade_flow.local.tools import uv
from infra.written import ROOT, TEMPLATE, read_template

CODE = ("CodeUri", "ContentUri")
_MAKE = ("make", "--dry-run", "build-FrameworkLayer")


@dataclass(frozen=True)
class Build:
    project: Project
    folder: Path
    made: Mapping[str, Made]

    def names_in(self, place: str) -> set[str]:
        with zipfile.ZipFile(self.made[place].artifact.path) as archive:
            return set(archive.namelist())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("dist")
    project = Project(ROOT)
    return Build(project, folder, {made.place: made for made in cloud_build.build(project, folder)})


class TestWhatIsMade:
    def test_each_place_of_the_template_names_a_zip_that_is_there(self, built: Build) -> None:
        places = _places(read_template(built.folder / "template.yaml"))
        assert len(places) == len(_places(TEMPLATE)) > 2
        assert all((built.folder / str(place)).is_file() for place in places)

    def test_the_rest_of_the_template_is_as_it_was(self, built: Build) -> None:
        assert _without_code(read_template(built.folder / "template.yaml")) == _without_code(TEMPLATE)

    def test_a_function_is_its_folder(self, built: Build) -> None:
        for place, made in built.made.items():
            if place.startswith("functions/"):
                with zipfile.ZipFile(made.artifact.path) as archive:
                    assert archive.read("app.py") == (ROOT / place / "app.py").read_bytes()

    def test_the_framework_holds_what_runs_on_lambda_and_nothing_else(self, built: Build) -> None:
        ours = {name for name in built.names_in(FRAMEWORK) if name.startswith("python/cascade_flow/")}
        assert {"python/cascade_flow/backend.py", "python/cascade_flow/worker/loop.py"} <= ours
        only_here = {"cli", "client", "console", "local", "remote", "smoke", "stack", "testing", "tests"}
        assert not [name for name in ours if name.split("/")[2] in only_here]
        others = {name.split("/")[1] for name in built.names_in(FRAMEWORK)}
        assert not {"boto3", "botocore", "moto", "ministack", "pytest", "typer", "rich", "bin", ".lock"} & others

    def test_its_size_is_told_and_small(self, built: Build) -> None:
        assert 1_000_000 < built.made[FRAMEWORK].size <= layer_checks.LARGEST_FRAMEWORK

    def test_what_is_there_is_not_made_again(self, built: Build) -> None:
        before = {path.name: path.stat().st_mtime_ns for path in built.folder.glob("*.zip")}
        list(cloud_build.build(built.project, built.folder))
        assert {path.name: path.stat().st_mtime_ns for path in built.folder.glob("*.zip")} == before

    def test_a_folder_that_can_not_be_made_is_told(self, built: Build, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ConfigurationError, match="Name another folder"):
            next(cloud_build.build(built.project, tmp_path / "file/dist"))

    def test_the_same_files_make_the_same_zip(self, built: Build, tmp_path: Path) -> None:
        again = artifacts.framework(built.project, artifacts.aws_lambda(tmp_path))
        assert again.path.read_bytes() == built.made[FRAMEWORK].artifact.path.read_bytes()


class TestHowItIsMade:
    """As `sam build` makes it: from a copy of the layer's folder, in a container too, where nothing else is mounted."""

    @pytest.fixture
    def mounted(self, tmp_path: Path) -> Path:
        return Path(shutil.copytree(ROOT / FRAMEWORK, tmp_path / "source"))

    def test_the_folder_alone_is_enough(self, mounted: Path, tmp_path: Path, built: Build) -> None:
        platform = artifacts.aws_lambda(tmp_path)
        install = [uv(), "pip", "install", "--quiet", *platform.install]
        _make(mounted, tmp_path / "layer", platform.python, *install)
        files = {str(path.relative_to(tmp_path / "layer")) for path in (tmp_path / "layer").rglob("*.py")}
        assert files == {name for name in built.names_in(FRAMEWORK) if name.endswith(".py")}

    def test_sam_makes_it_by_the_same_program(self, mounted: Path, tmp_path: Path) -> None:
        build = [*_MAKE, f"ARTIFACTS_DIR={tmp_path / 'layer'}"]
        ran = subprocess.run(build, cwd=mounted, check=True, capture_output=True, text=True)
        assert ran.stdout.strip() == f'python3 build.py "{tmp_path / "layer"}/python"'

    def test_links_are_mounted_in_a_container(self) -> None:
        assert "\n[default.build.parameters]\nmount_symlinks = true\n" in (ROOT / "samconfig.toml").read_text()

    def test_a_python_that_is_named_but_does_not_run_compiles_nothing(self, mounted: Path, tmp_path: Path) -> None:
        shim = tmp_path / "python3.13"
        shim.write_text("#!/bin/sh\necho 'python3.13: command not found' >&2\nexit 127\n")
        shim.chmod(0o755)
        _make(mounted, tmp_path / "layer", str(shim), "true")
        assert (tmp_path / "layer/python/cascade_flow/backend.py").is_file()
        assert not list((tmp_path / "layer").rglob("*.pyc"))

    def test_a_python_that_runs_compiles_it_all(self, mounted: Path, tmp_path: Path) -> None:
        _make(mounted, tmp_path / "layer", sys.executable, "true")
        layer = tmp_path / "layer/python"
        assert len(list(layer.rglob("*.pyc"))) == len(list(layer.rglob("*.py")))


class TestChecks:
    """What is built wrongly is refused, with the reason."""

    @pytest.fixture
    def root(self, tmp_path: Path, built: Build) -> Path:
        with zipfile.ZipFile(built.made[FRAMEWORK].artifact.path) as archive:
            archive.extractall(tmp_path / "layer")
        return tmp_path / "layer/python"

    def test_what_is_built_is_right(self, root: Path) -> None:
        assert _complaints(root) == []

    def test_a_package_is_missing(self, root: Path) -> None:
        [metadata] = root.glob("pydantic_core-*.dist-info")
        shutil.rmtree(metadata)
        [complaint] = _complaints(root)
        assert complaint.startswith("pydantic needs pydantic-core==")
        assert complaint.endswith("and there is none")

    def test_a_package_has_another_version_than_is_needed(self, root: Path) -> None:
        [metadata] = root.glob("pydantic_core-*.dist-info/METADATA")
        told = metadata.read_text().splitlines()
        metadata.write_text("\n".join("Version: 1.0" if line.startswith("Version: ") else line for line in told))
        [complaint] = _complaints(root)
        assert complaint.endswith("and there is 1.0")

    def test_a_module_is_missing(self, root: Path) -> None:
        shutil.rmtree(root / "jsonschema_rs")
        assert any("imports jsonschema_rs, which is missing" in each for each in _complaints(root))

    def test_machine_code_for_another_processor(self, root: Path) -> None:
        [library] = root.glob("pydantic_core/*.so")
        code = bytearray(library.read_bytes())
        code[18:20] = (62).to_bytes(2, "little")
        library.write_bytes(code)
        assert _complaints(root) == [f"pydantic_core/{library.name} is no code for arm64"]

    def test_machine_code_for_another_python(self, root: Path) -> None:
        [library] = root.glob("pydantic_core/*.so")
        library.rename(other := library.with_name(library.name.replace("313", "311")))
        assert _complaints(root) == [f"pydantic_core/{other.name} is no code for arm64"]

    def test_what_is_only_named_like_machine_code_is_none(self, root: Path) -> None:
        (root / "contracts").mkdir()
        (root / "contracts/token.sol").write_text("contract Token {}")
        (root / "contracts/index.sorted.json").write_text("{}")
        (root / "contracts/linker.so").write_text("INPUT(libother.so.1)")
        (root / "some.source").mkdir()
        assert _complaints(root) == []

    def test_packages_may_bring_an_sdk_of_their_own_and_old_words(self, root: Path) -> None:
        needs = "Requires-Dist: botocore (<1.44.0,>=1.43.0)\nRequires-Dist: a (>b)"
        for name, words in (("botocore", ""), ("boto3", needs)):
            (root / f"{name}-1.43.5.dist-info").mkdir()
            told = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.43.5\n{words}\n"
            (root / f"{name}-1.43.5.dist-info/METADATA").write_text(told)
        assert _complaints(root) == []

    def test_what_is_for_people_is_in_it(self, root: Path) -> None:
        (root / "cascade_flow/cli").mkdir()
        assert _complaints(root) == ["cascade_flow/cli is in it"]

    def test_a_layer_that_would_not_work_is_not_left_there(
        self, tmp_path: Path, built: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copytree(built.folder, tmp_path / "dist")
        monkeypatch.setattr(layer_checks, "LARGEST_FRAMEWORK", 1_000)
        with pytest.raises(ConfigurationError, match="layers/framework would not work on Lambda: it has"):
            list(cloud_build.build(built.project, tmp_path / "dist"))
        assert not list((tmp_path / "dist").glob("framework-*.zip"))


@pytest.mark.slow
class TestTheToolsOfOthers:
    def test_sam_builds_it_too(self, tmp_path: Path, built: Build) -> None:
        sam = _environment(tmp_path / "sam", "aws-sam-cli==1.170.0") / "sam"
        subprocess.run([sam, "build", "--build-dir", tmp_path / "built"], cwd=ROOT, check=True, capture_output=True)
        layer = tmp_path / "built/FrameworkLayer"
        ours = {name for name in built.names_in(FRAMEWORK) if name.endswith(".py")}
        assert {str(path.relative_to(layer)) for path in layer.rglob("*.py")} == ours

    def test_the_contract_holds_with_the_oldest_sdk_that_lambda_may_have(self, tmp_path: Path) -> None:
        pinned = [f"{name}=={version}" for name, version in layer_checks.OLDEST_SDK.items()]
        install = [uv(), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(tmp_path)]
        subprocess.run([*install, *pinned], check=True)
        suite = [
            sys.executable,
            "-m",
            "pytest",
            "--quiet",
            "-p",
            "no:cacheprovider",
            "tests/contract",
            "-k",
            "ministack",
        ]
        ended = subprocess.run(
            suite,
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "CASCADE_TRANSPORT": "boto3"},
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stdout[-3_000:]


def _make(source: Path, target: Path, python: str, *installer: str) -> None:
    recipe = [sys.executable, str(source / "build.py"), "--python", python, "--", str(target / "python"), *installer]
    subprocess.run(recipe, check=True, capture_output=True)


def _places(template: dict[str, Any]) -> list[Any]:
    """Where the template says that code lies."""
    described = [resource["Properties"] for resource in template["Resources"].values()]
    return [each[name] for each in described for name in CODE if name in each]


def _without_code(template: dict[str, Any]) -> dict[str, Any]:
    bare = copy.deepcopy(template)
    for resource in bare["Resources"].values():
        for name in CODE:
            resource["Properties"].pop(name, None)
    return bare


def _environment(place: Path, package: str) -> Path:
    """The programs of a package, in an environment of its own."""
    subprocess.run([uv(), "venv", "--quiet", "--python", sys.executable, str(place)], check=True)
    install = [uv(), "pip", "install", "--quiet", "--python", str(place / "bin/python"), package]
    subprocess.run(install, check=True)
    return place / "bin"


def _complaints(root: Path) -> list[str]:
    return list(layer_checks.in_framework(root))
