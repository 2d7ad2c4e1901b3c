"""Whatever is asked, the answer is one that docs/openapi.json describes: schemathesis asks.

This module is the last of its suite: what is submitted and claimed here is left as it is.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from reference import conformance

from e2e import schemathesis_run
from e2e.stack import Stack

OPERATIONS = sum(len(conformance.METHODS & set(methods)) for methods in conformance.published()["paths"].values())
CASES, MANY_CASES = 500, 5_000


def test_every_answer_is_documented(stack: Stack, tmp_path: Path) -> None:
    outcome = schemathesis_run.tried(stack, tmp_path, phases=["fuzzing"], examples=-(-CASES // OPERATIONS), seed=1)
    assert outcome.has_passed, outcome.told
    assert outcome.cases >= CASES


@pytest.mark.slow
@pytest.mark.parametrize("phases", [["fuzzing"], ["examples", "coverage"]], ids=str)
def test_every_answer_is_documented_for_long(stack: Stack, tmp_path: Path, phases: list[str]) -> None:
    """By chance for so many cases; and at each bound of each field, which are as many as there are."""
    seed = secrets.randbelow(10**6)
    outcome = schemathesis_run.tried(stack, tmp_path, phases=phases, examples=-(-MANY_CASES // OPERATIONS), seed=seed)
    assert outcome.has_passed, f"with the seed {seed}: {outcome.told}"
    assert outcome.cases >= MANY_CASES or phases != ["fuzzing"]
