"""`cascade smoke` on a deployed stack: what an emulator can show holds, what only AWS shows is said to be unseen."""

from __future__ import annotations

import json
import subprocess
import sys

from cascade_flow.local import endpoints
from cascade_flow.smoke import points
from e2e.stack import Stack

ONLY_ON_AWS = {point.claim for point in points.POINTS if not point.emulated}


def test_every_point_holds_that_can_be_seen(stack: Stack) -> None:
    command = [sys.executable, "-m", "cascade_flow.cli", "smoke", "--json"]
    ended = subprocess.run(command, cwd=stack.project.root, capture_output=True, text=True, check=False)
    found = {each["point"]: each["verdict"] for each in map(json.loads, ended.stdout.splitlines())}
    assert {name for name, verdict in found.items() if verdict == "fail"} == set(), ended.stdout
    assert {name for name, verdict in found.items() if verdict == "unseen"} - {"the reaper is called"} == ONLY_ON_AWS
    assert (len(found), ended.returncode) == (len(points.POINTS), 0)


def test_what_is_set_right_passes_where_the_emulator_can_be_asked(stack: Stack) -> None:
    looked_at = endpoints.local_stack(stack.project.root)
    allowed = {"FunctionName": looked_at.id_of("WorkerFunction"), "RecursiveLoop": "Allow"}
    looked_at.client("lambda").put_function_recursion_config(**allowed)
    assert points.loops_are_allowed(looked_at) == "RecursiveLoop: Allow"
