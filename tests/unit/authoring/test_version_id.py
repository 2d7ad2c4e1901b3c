"""The version id: the same for the same declaration, wherever it stands; another one for anything that matters."""

import subprocess
import sys
import types
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from cascade_flow.authoring import Retry, Workflow
from cascade_flow.authoring.version import source_text

SOURCE = """
from cascade_flow.authoring import Workflow, Retry
def declare():
    flow = Workflow("orders", timeout=60)
    @flow.step
    def read(input: int) -> int:
        return input + 1

    @flow.step(export=True, retry=Retry(max_attempts=2))
    def total(read: int) -> int:
        # as is
        return 2 * read
    return flow
"""


def version_of(folder: Path, source: str) -> str:
    """The version id that the workflow of this module text has, the module lying in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flows.py").write_text(source)
    module = types.ModuleType("flows")
    exec(compile(source, str(folder / "flows.py"), "exec"), module.__dict__)
    flow: Workflow = module.declare()
    return flow.definition().version_id


def test_the_id_is_a_sha256_and_the_same_in_every_folder_and_indentation(tmp_path: Path) -> None:
    here = version_of(tmp_path / "a", SOURCE)
    moved = version_of(tmp_path / "b/c", "import os\n\n\n" + SOURCE)
    deeper = SOURCE.replace("def declare():", "def declare():\n  if True:") + "\n"
    body = deeper.split("if True:")[1]
    indented = deeper.replace(body, indent(body.replace("return flow", "return flow"), "    "))
    assert here.startswith("sha256:")
    assert len(here) == len("sha256:") + 64
    assert moved == here
    assert version_of(tmp_path / "d", indented) == here
    assert version_of(tmp_path / "e", SOURCE.replace("return input + 1", "return input + 1   ")) == here


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2 * read", "3 * read"),
        ("# as is", "# changed"),
        ("export=True, ", ""),
        ("max_attempts=2", "max_attempts=3"),
        ("timeout=60", "timeout=61"),
        ('"orders"', '"bills"'),
    ],
)
def test_whatever_matters_makes_another_id(tmp_path: Path, old: str, new: str) -> None:
    assert version_of(tmp_path / "a", SOURCE.replace(old, new)) != version_of(tmp_path / "b", SOURCE)


def test_the_input_schema_counts() -> None:
    def work(input: Any) -> Any:
        return input

    def version(input_type: Any) -> str:
        flow = Workflow("w", input=input_type)
        flow.step(work)
        return flow.definition().version_id

    class A(BaseModel):
        x: int

    class B(BaseModel):
        x: str

    assert len({version(None), version(A), version(B)}) == 3


def test_a_changed_pool_is_another_version() -> None:
    def work() -> None: ...

    def version(executor: str | None) -> str:
        flow = Workflow("w")
        flow.step(executor=executor)(work)
        return flow.definition().version_id

    assert len({version(None), version("gpu-box"), version("cpu-box")}) == 3


@given(st.permutations(["one", "two", "three"]))
def test_declared_order_counts_and_nothing_else_does(order: list[str]) -> None:
    def work() -> None: ...

    def version(ids: list[str]) -> str:
        flow = Workflow("w")
        for id in ids:
            flow.step(id=id, retry=Retry())(work)
        return flow.definition().version_id

    assert version(order) == version(list(order))
    assert (version(order) == version(["one", "two", "three"])) == (order == ["one", "two", "three"])


def test_another_process_with_another_hash_seed_finds_the_same_id(tmp_path: Path) -> None:
    expected = version_of(tmp_path, SOURCE)
    program = "import flows; print(flows.declare().definition().version_id)"
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": f"{tmp_path}:{':'.join(sys.path)}", "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.strip() == expected


def test_a_step_without_readable_source_counts_by_its_signature() -> None:
    module = types.ModuleType("typed")
    exec(dedent("def work(a: int) -> int:\n    return a"), module.__dict__)
    assert source_text(module.work) == "def work(a: int) -> int"
