"""What `cascade worker` shows on a terminal: a line of each step that is over, and of what may have to be mended."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.cli import worker_verb
from cascade_flow.cli.target import Target

STEP = {"runId": "run-1", "workflowSlug": "flow", "stepId": "train", "attemptNumber": 1, "slot": 0}
FAILURE = {"name": "OSError", "message": "no disk\nreally none"}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            {"event": "ready", "pool": "gpu", "workflows": 2, "poolsDeclared": ["gpu"], "slots": [1, 2]},
            "waits for steps of pool gpu: 2 slots, 2 workflows",
        ),
        (
            {"event": "ready", "pool": "gpo", "workflows": 1, "poolsDeclared": ["gpu"], "slots": [1]},
            "no step of these workflows is for pool gpo (they name gpu): waits all the same",
        ),
        ({"event": "ended", **STEP, "status": "completed", "durationUs": 2_000_000}, "✓ train  run-1  2.0 s"),
        (
            {"event": "ended", **STEP, "status": "scheduled", "durationUs": 1_000_000, "error": FAILURE},
            "↻ train  run-1  1.0 s  OSError: no disk  (will be tried again)",
        ),
        (
            {"event": "crashed", **STEP, "attemptNumber": 2, "reason": "the step's process was killed by signal 9"},
            "✗ train (attempt 2)  run-1  the step's process was killed by signal 9",
        ),
        ({"event": "away", "reason": "nobody"}, "the API can't be reached, and is asked again: nobody"),
        ({"event": "draining", "steps": 1}, "ends when what runs is done (1 running); once more, and it is given back"),
    ],
    ids=["ready", "unknown pool", "completed", "tried again", "crashed", "away", "draining"],
)
def test_a_line(event: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    worker_verb._teller(Target())(event)
    assert line in [each.partition("  ")[2] for each in capsys.readouterr().out.splitlines()]


def test_what_begins_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    worker_verb._teller(Target())({"event": "began", **STEP})
    assert capsys.readouterr().out == ""


def test_with_json_each_event_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    worker_verb._teller(Target(as_json=True))({"event": "began", **STEP})
    assert '"event":"began","runId":"run-1"' in capsys.readouterr().out
