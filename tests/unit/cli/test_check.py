"""`cascade check`: every mistake of the workflows here, with its line, whatever their modules do."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

from cascade_flow.cli import exits
from cascade_flow.cli.app import run
from cascade_flow.errors import DefinitionError
from cascade_flow.local import Project, checking, emulator, up

FLOW = """
from cascade_flow import Workflow
flow = Workflow("orders")
@flow.step
def read() -> int:
    return 1
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    config = 'stack = "mine"\npackage = "workflows"\nfolder = "examples"\nsources = "."\n'
    (tmp_path / "cascade.toml").write_text(config)
    (tmp_path / "examples/workflows").mkdir(parents=True)
    (tmp_path / "examples/workflows/__init__.py").write_text("")
    (tmp_path / "examples/workflows/orders.py").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def write(project: Project, module: str, text: str) -> None:
    (project.workflows_dir / f"workflows/{module}.py").write_text(text)


def test_what_is_sound_is_listed(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    write(project, "noisy", "print('hello from the module')")
    assert run(["check"]) == exits.OK
    out, _ = capfd.readouterr()
    assert "No mistakes in 1 workflow." in out
    assert "orders: 1 step" in out
    assert "hello" not in out
    assert run(["check", "--json"]) == exits.OK
    found = json.loads(capfd.readouterr().out)
    [listed] = found["workflows"]
    assert listed.pop("versionId").startswith("sha256:")
    known = {
        "workflowSlug": "orders",
        "name": "orders",
        "location": "workflows.orders",
        "steps": 1,
        "stepIds": ["read"],
    }
    assert (listed, found["mistakes"]) == (known, [])


def test_every_mistake_is_told_with_file_and_line(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    write(project, "bills", FLOW.replace('"orders"', '"bills"') + "@flow.step(timeout=0)\ndef total(raed): ...\n")
    write(project, "broken", "import no_such_thing")
    assert run(["check"]) == exits.WRONG_USE
    out, err = capfd.readouterr()
    assert not out
    head, *told = err.splitlines()
    assert head == "error: There are 2 mistakes in the workflows of 'workflows':"
    assert told[0].startswith(
        "  examples/workflows/broken.py:1: the module 'workflows.broken' can't be imported (Module"
    )
    assert told[1].startswith("  examples/workflows/bills.py:7: workflow 'bills', step 'total': timeout is 0: give")
    assert run(["--json", "check"]) == exits.WRONG_USE
    mistakes = json.loads(capfd.readouterr().out)["mistakes"]
    assert [(each["file"], each["line"]) for each in mistakes] == [
        ("examples/workflows/broken.py", 1),
        ("examples/workflows/bills.py", 7),
    ]
    assert not (project.home / "stack.json").exists()


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("import os\nos._exit(3)", "ends the process when it is imported, with status 3: let a step do that"),
        ("import os\nos._exit(0)", "ends the process when it is imported, with status 0"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "ends the process when it is imported, by SIGKILL"),
        ("import os\nos.write(2, b'no card\\n')\nos.abort()", "by SIGABRT (it said: no card)"),
        ("while True: ...", "does not come to its end when it is imported"),
    ],
)
def test_a_module_that_takes_the_process_down_is_named(project: Project, code: str, how: str) -> None:
    write(project, "hostile", code)
    with pytest.raises(DefinitionError) as caught:
        checking.require_sound(project, patience_s=5 if "while" in code else 60)
    assert str(caught.value) == "There is a mistake in the workflows of 'workflows'"
    (mistake,) = caught.value.issues
    assert mistake.path == "examples/workflows/hostile.py:1"
    assert mistake.message.startswith("the module 'workflows.hostile' ")
    assert how in mistake.message


def test_threads_that_a_module_leaves_hold_nothing_up(project: Project) -> None:
    write(project, "busy", "import threading\nthreading.Thread(target=threading.Event().wait).start()")
    assert [each.workflow_slug for each in checking.require_sound(project)] == ["orders"]


def test_functions_have_a_region_and_none_of_the_users_variables(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "x")
    code = (
        "import os\nassert os.environ['AWS_REGION'] and 'MY_SECRET' not in os.environ\nimport boto3\nboto3.client('s3')"
    )
    write(project, "client", code)
    assert checking.require_sound(project)


def test_packages_that_the_workflows_ask_for_are_there(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = project.root / "cards-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("cards.py", "LIMIT = 500")
        archive.writestr("cards-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: cards\nVersion: 1.0\n")
        archive.writestr("cards-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("cards-1.0.dist-info/RECORD", "")
    (project.workflows_dir / "requirements.txt").write_text(f"{wheel}\n")
    monkeypatch.setattr(emulator, "is_installed", lambda home: True)
    monkeypatch.setattr(emulator, "python", lambda home: Path(sys.executable))
    write(project, "paying", "import cards\nassert cards.LIMIT == 500")
    assert [each.workflow_slug for each in checking.require_sound(project)] == ["orders"]
    write(project, "paying", "import cards\ncards.LIMITS")
    with pytest.raises(DefinitionError) as caught:
        checking.require_sound(project)
    assert [mistake.path for mistake in caught.value.issues] == ["examples/workflows/paying.py:2"]


def test_up_checks_before_it_starts_anything(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, "broken", "import sys\nsys.exit('no')")
    for folder in ("layers/framework", "backend/cascade_flow", "functions"):
        (project.root / folder).mkdir(parents=True)
    monkeypatch.setattr("cascade_flow.local.emulator.is_installed", lambda home: True)
    with pytest.raises(DefinitionError, match="There is a mistake in the workflows"):
        list(up(project))


def test_the_project_can_be_checked_from_a_folder_below(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.workflows_dir)
    assert run(["check"]) == exits.OK


def test_what_merely_lies_beside_the_package_is_not_there_where_it_runs(project: Project) -> None:
    (project.workflows_dir / "cards.py").write_text("LIMIT = 500")
    write(project, "paying", "import cards")
    [mistake] = checking.inspect(project)[1]
    assert mistake.path == "examples/workflows/paying.py:1"
    assert "have 'cards.py', which lies beside the package, deployed too: `include` in cascade.toml" in mistake.message
    with (project.root / "cascade.toml").open("a") as config:
        config.write('include = ["cards.py"]\n')
    assert checking.require_sound(Project(project.root))
