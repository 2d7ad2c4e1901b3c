"""What shells may complete: candidates of the API, within a second or none at all, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from cascade_flow.cli import completion, exits
from cascade_flow.cli.app import run
from unit.cli.conftest import Api, problem
from unit.cli.documents import BUSY, BUSY_ID, DONE, RUN_ID

Complete = Callable[..., list[str]]


@pytest.fixture
def complete(api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Complete:
    """The candidates for the last of these words."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    api.routes["GET /runs"] = (200, {"runs": [DONE["run"], BUSY["run"]]})

    def candidates(*words: str) -> list[str]:
        whole = ["cascade", "--url", api.url, "--region", "us-east-1", *words]
        monkeypatch.setenv("_CASCADE_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(whole))
        monkeypatch.setenv("COMP_CWORD", str(len(whole) - 1))
        assert run([]) == exits.OK
        out, err = capsys.readouterr()
        assert err == ""
        return out.split()

    return candidates


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["re"], ["retry", "resume", "rerun"]),
        (["dead-letters", "r"], ["redrive"]),
        (["retry", "--sta"], ["--status", "--stack"]),
        (["run", "m"], ["mishaps"]),
        (["run", "x"], []),
        (["runs", "--workflow", "m"], ["mishaps"]),
        (["show", "3f"], [RUN_ID]),
        (["step", BUSY_ID, "un"], ["unreliable"]),
        (["rerun", BUSY_ID, "--from", "lo"], ["long_haul"]),
        (["rerun", "--from", "lo"], []),
    ],
)
def test_words_are_completed(complete: Complete, words: list[str], found: list[str]) -> None:
    assert sorted(complete(*words)) == sorted(found)


def test_the_newest_runs_are_asked_for(api: Api, complete: Complete) -> None:
    assert complete("doctor", "") == [RUN_ID, BUSY_ID]
    assert api.asked == [("GET /runs?limit=50", None)]


def test_an_api_that_refuses_completes_nothing(api: Api, complete: Complete) -> None:
    api.routes["GET /workflows"] = problem(404, "workflow-not-found", "no")
    assert complete("run", "m") == []


def test_nobody_waits_for_an_api_that_is_slow(
    complete: Complete, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(completion, "_TO_ANSWER_S", 0.05)
    monkeypatch.setattr("cascade_flow.client.Client.workflows", lambda _: input_of(tmp_path))
    begun = monotonic()
    assert complete("run", "m") == []
    assert monotonic() - begun < 10


def input_of(folder: Path) -> list[str]:
    """What nobody ever writes: it is waited for until somebody interrupts."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    return pipe.read_text().splitlines()


def test_without_an_engine_nothing_is_completed(tmp_path: Path) -> None:
    words = {"_CASCADE_COMPLETE": "complete_bash", "COMP_WORDS": "cascade run s", "COMP_CWORD": "2"}
    command = [sys.executable, "-m", "cascade_flow.cli"]
    done = subprocess.run(command, cwd=tmp_path, env={**words, "HOME": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (exits.OK, "", "")


@pytest.mark.parametrize(
    ("shell", "said"), [("bash", "complete -o"), ("zsh", "#compdef cascade"), ("fish", "complete ")]
)
def test_each_shell_gets_its_script(capsys: pytest.CaptureFixture[str], shell: str, said: str) -> None:
    assert run(["completion", shell]) == exits.OK
    assert said in capsys.readouterr().out
    assert run(["completion", "tcsh"]) == exits.WRONG_USE
