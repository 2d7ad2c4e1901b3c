"""Ctrl-C at any moment of a command, its imports too, and readers that go away: quiet, and the exit status says it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cascade_flow.cli import exits

COMMAND = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
sys.argv = ["cascade", *{arguments!r}]
from cascade_flow.cli import main
main()
"""


@pytest.mark.parametrize(
    "module", ["cascade_flow.cli.app", "typer", "rich", "cascade_flow.cli.run_verbs", "cascade_flow.client"]
)
def test_ctrl_c_during_any_import_is_quiet(module: str, tmp_path: Path) -> None:
    code = COMMAND.format(module=module, arguments=["runs", "--url", "http://127.0.0.1:9", "--region", "us-east-1"])
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (exits.INTERRUPTED, "", "")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    code = "from cascade_flow.cli import main; import sys; sys.argv = ['cascade', '--help']; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout
        assert command.stderr
        command.stdout.close()
        assert command.stderr.read() == ""
        assert command.wait() == exits.OK
