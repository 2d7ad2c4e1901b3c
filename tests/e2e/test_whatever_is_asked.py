"""Whatever is asked, the answer is one that docs/openapi.json describes: schemathesis asks.

This module is the last of its suite: what is submitted and claimed here is left as it is.
"""

from __future__ import annotations

import secrets
from math import ceil
from pathlib import Path

import pytest
from reference import conformance

from e2e import schemathesis_run
from e2e.stack import Stack

OPERATIONS = [
    operation["operationId"]
    for path in conformance.published()["paths"].values()
    for method, operation in path.items()
    if method in conformance.METHODS
]
CASES, MANY_CASES = 500, 5_000
_FEWER = 1.1
"""Some operations have fewer cases than are asked for."""


def test_every_answer_is_documented(stack: Stack, tmp_path: Path) -> None:
    outcome = schemathesis_run.tried(stack, tmp_path, phases=["fuzzing"], examples=-(-CASES // len(OPERATIONS)), seed=1)
    assert outcome.has_passed, outcome.told
    assert outcome.cases >= CASES


@pytest.mark.slow
def test_every_answer_is_documented_for_long(stack: Stack, tmp_path: Path) -> None:
    seed, examples = secrets.randbelow(10**6), ceil(_FEWER * MANY_CASES / len(OPERATIONS))
    outcome = schemathesis_run.tried(stack, tmp_path, phases=["fuzzing"], examples=examples, seed=seed)
    assert outcome.has_passed, f"with the seed {seed}: {outcome.told}"
    assert outcome.cases >= MANY_CASES


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_answer_at_a_bound_is_documented(stack: Stack, tmp_path: Path, operation: str) -> None:
    """At each bound of each field, which are as many as there are: an operation takes minutes, all of them an hour."""
    phases, seed = ["examples", "coverage"], secrets.randbelow(10**6)
    outcome = schemathesis_run.tried(stack, tmp_path, phases=phases, examples=1, seed=seed, only=operation)
    assert outcome.has_passed, f"with the seed {seed}: {outcome.told}"
    assert outcome.cases
