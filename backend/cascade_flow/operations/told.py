"""What a wake-up tells besides where to look, so that who is woken need not read it: what never changes while a run's
attempt lasts, and what the step depends on has given, where that is small.

It is sealed, so nobody else can tell anything; and it is for one attempt of one step in one attempt of the run, which
the claim's answer must agree with. Whatever isn't told, or can't be believed, is read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from functools import cache
from typing import Any
from zlib import crc32

from cascade_flow.engine.state import Branch, Facts, Run, Up
from cascade_flow.errors import CascadeFlowError
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import dataclass
from cascade_flow.wake import Wake

_MOST_CHARACTERS = 6_000
_log = logging.getLogger(__name__)
_LASTING = (
    "workflow_slug",
    "version_id",
    "created_us",
    "available_at_us",
    "deadline_us",
    "expires_s",
    "run_attempt",
    "started_at_us",
    "priority",
    "parent",
    "origin_run_id",
    "limit_keys",
)
_OTHERWISE_KNOWN = frozenset(
    {
        "run_id",
        "status",
        "driver",
        "seq",
        "reviving",
        "completed_at_us",
        "tags",
        "last_us",
        "due_us",
        "owed",
        "tail",
        "up",
    }
)
"""Fields of a run that nobody asks for who works on its steps, or that are known without being told."""


@dataclass(frozen=True)
class Told:
    """A run as it is while its attempt lasts, with the first of its events; and outputs, by step."""

    run: Run
    known: Mapping[str, str | None]


def tell(runtime: Runtime, facts: Facts, told: Told, branch: Branch) -> str:
    """What to tell who is woken for what is scheduled on a branch; empty where that is nothing."""
    seal, run = runtime.queue.seal, told.run
    if seal is None or branch.status != "scheduled" or not _is_told_by_these(run):
        return ""
    lasting = {name: getattr(run, name) for name in _LASTING} | {"up": run.up and asdict(run.up)}
    known = {step: told.known[step] for step in facts.graph.step(branch.step).dependencies if step in told.known}
    text = json.dumps([_form(), _place(run.run_id, branch), dict(lasting), run.tail[:1], known], default=dict)
    try:
        return seal.sealed(text) if len(text) <= _MOST_CHARACTERS else ""
    except CascadeFlowError as error:
        _log.info("a wake-up tells where to look only: %s", error)
        return ""


def heard(runtime: Runtime, wake: Wake, branch: Branch) -> Told | None:
    """What a wake-up has told of a branch that was claimed by it; None where that is nothing, or can't be believed."""
    if not wake.told or runtime.queue.seal is None:
        return None
    text = runtime.queue.seal.opened(wake.told)
    return None if text is None else _believed(json.loads(text), wake.run_id, branch)


def _form() -> int:
    """Stands for what is told: who tells other fields, as another release may, is not understood."""
    return crc32(" ".join([*_LASTING, *(field.name for field in fields(Up))]).encode())


def _is_told_by_these(run: Run) -> bool:
    """Whether these fields tell all there is of a run: whatever else there may be to it, has to be read."""
    return all(getattr(run, name) == default for name, default in _others().items())


@cache
def _others() -> Mapping[str, Any]:
    """The other fields of a run, and what each is where there is nothing to it."""
    others = [field for field in fields(Run) if field.name not in {*_LASTING, *_OTHERWISE_KNOWN}]
    return {
        field.name: field.default_factory() if field.default_factory is not MISSING else field.default
        for field in others
    }


def _believed(told: list[Any], run_id: str, branch: Branch) -> Told | None:
    if told[0] != _form():
        return None
    _, place, lasting, submitted, known = told
    if place != _place(run_id, branch) or lasting["run_attempt"] != branch.run_attempt:
        return None
    up = lasting.pop("up")
    return Told(Run(run_id=run_id, status="running", tail=tuple(submitted), up=up and Up(**up), **lasting), known)


def _place(run_id: str, branch: Branch) -> list[str | int]:
    return [run_id, branch.name, branch.step, branch.attempt]
