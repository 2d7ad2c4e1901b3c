"""schemathesis on a deployed stack: requests of every kind that docs/openapi.json describes, and of kinds it forbids.

It lives in an environment of its own (requirements/fuzz.txt): it needs an older hypothesis and jsonschema-rs than the
rest. Half of the ids and slugs that it sends are real, so that it gets past the door.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reference import conformance

from cascade_flow.clock import now_us
from cascade_flow.local import REGION
from e2e.stack import Stack
from infra.written import ROOT

PROGRAM = ROOT / ".tools" / "fuzz" / "bin" / "schemathesis"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
LATER = 10**12
SLOW = frozenset({"waitMs"})
"""What makes an answer wait, for up to 20 s."""
PATIENCE_S = 30
"""What API Gateway gives an answer: who waits for less takes a busy machine for a fault."""
CONFIGURATION = """
[checks]
negative_data_rejection.expected-statuses = [400, 403, 404, 405, 409, 413, 422]
"""
_GENERATED = re.compile(r"(\d+) generated")


@dataclass(frozen=True)
class Outcome:
    """How many cases were tried, and what schemathesis says of them."""

    cases: int
    has_passed: bool
    told: str


def tried(
    stack: Stack, folder: Path, *, phases: Sequence[str], examples: int, seed: int, only: str | None = None
) -> Outcome:
    """Try that many cases of each operation, or of one, and more where the phase has its own."""
    assert PROGRAM.exists(), "schemathesis is not installed: run make setup"
    path = folder / "openapi.json"
    path.write_text(json.dumps(with_real_ids(conformance.strict(), real(stack))), encoding="utf-8")
    (folder / "schemathesis.toml").write_text(CONFIGURATION, encoding="utf-8")
    options = {
        "--url": stack.local.api_url,
        "--checks": ",".join(CHECKS),
        "--phases": ",".join(phases),
        "--max-examples": str(examples),
        "--seed": str(seed),
        "--workers": "2",
        "--request-timeout": str(PATIENCE_S),
        "--suppress-health-check": "too_slow",
        "--generation-database": "none",
        "--warnings": "off",
        **({"--include-operation-id": only} if only else {}),
    }
    command = [str(PROGRAM), "run", str(path), "--no-color", *(word for pair in options.items() for word in pair)]
    done = subprocess.run(command, cwd=folder, env=_environment(stack), capture_output=True, text=True, check=False)
    cases = _GENERATED.search(done.stdout)
    told = f"{done.stdout}{done.stderr}\nit ended with status {done.returncode}"
    return Outcome(int(cases[1]) if cases else 0, done.returncode == 0, told)


def real(stack: Stack) -> dict[str, list[Any]]:
    """What is there, by the names of the fields that ask for it: one run is over, and one waits for long."""
    over, waiting = (stack.submit("linear", input={"number": 1}, available_at_us=at) for at in (None, now_us() + LATER))
    stack.finished(over)
    runs, slugs, steps = [over, waiting], ["linear", "diamond", "scheduled"], ["first", "third", "sides/left"]
    return {
        **dict.fromkeys(("runId",), runs),
        **dict.fromkeys(("slug", "workflow", "workflowSlug"), slugs),
        **dict.fromkeys(("step", "stepId", "fromStepId"), steps),
        "name": ["nightly"],
        "input": [{"number": 1}],
        "workerId": ["w-1"],
        "attemptNumber": [1],
    }


def with_real_ids(schema: Any, real: Mapping[str, Sequence[Any]]) -> Any:
    """The document, in which whatever is called so may be one of these, or what it is otherwise."""
    if isinstance(schema, list):
        return [with_real_ids(each, real) for each in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: with_real_ids(each, real) for name, each in schema.items()}
    if told.get("in") and told.get("name") in real:
        told["schema"] = _either(real[told["name"]], told["schema"])
    if told.get("additionalProperties") is False and "properties" in told:
        fields = told["properties"]
        told["properties"] = {
            name: _either(real[name], each) if name in real else each for name, each in fields.items()
        }
    return told


def _either(values: Sequence[Any], schema: Any) -> dict[str, Any]:
    return {"anyOf": [{"enum": list(values)}, schema]}


def _environment(stack: Stack) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        "PYTHONPATH": str(Path(__file__).parent),
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
        "AWS_ACCESS_KEY_ID": stack.local.access_key,
        "AWS_SECRET_ACCESS_KEY": stack.local.secret_key,
        "AWS_REGION": REGION,
    }
