"""Which steps of an old run a new one may keep: those of which the engine could have told the same, of this graph.

A graph may have changed since, and a caller tells what it likes, in any order. What could not have happened so runs
again, since a history that shows an effect before its cause can't be read (protocol.md §3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cascade_flow.graph import Graph

Record = Mapping[str, Any]
"""An event as a record, by its wire names."""

_OVER = ("StepCompleted", "StepSkipped")
_MOVES = (*_OVER, "StepScheduled", "StepStarted", "StepFailed", "StepReclaimed")
_OFTEN = ("StepHeartbeat", "StepCheckpoint")


def reusable_steps(graph: Graph, records: Iterable[Record], *, by_caller: bool, now_us: int) -> frozenset[str]:
    """The steps, in a run that a caller drove or not, that are told in order: each after what it depends on."""
    of_step: dict[str, list[Record]] = {}
    for record in sorted(records, key=_time_of):
        if "stepId" in record:
            of_step.setdefault(record["stepId"], []).append(record)
    known = {step: mine for step, mine in of_step.items() if step in graph.steps}
    whole = {step: mine for step, mine in known.items() if not by_caller or _is_whole(mine, now_us)}
    ends = {step: _time_of(record) for step, mine in whole.items() for record in mine if record["type"] in _OVER}
    return frozenset(step for step, mine in whole.items() if _follows(mine, graph.step(step).dependencies, ends))


def _follows(mine: Sequence[Record], dependencies: Iterable[str], ends: Mapping[str, int]) -> bool:
    """Whether a step was moved only when what it depends on was over."""
    moved_us = [_time_of(record) for record in mine if record["type"] in _MOVES]
    return bool(moved_us) and all(step in ends and ends[step] < moved_us[0] for step in dependencies)


def _is_whole(mine: Sequence[Record], now_us: int) -> bool:
    """Whether a step's attempts were scheduled, begun and ended one after the other, up to one end, which is past."""
    seen: set[tuple[str, int]] = set()
    for record in mine:
        mark = (record["type"], record["attemptNumber"])
        cause = _cause_of(record)
        if (mark in seen and record["type"] not in _OFTEN) or (cause and (cause, mark[1]) not in seen):
            return False
        seen.add(mark)
    ends = [record for record in mine if record["type"] in _OVER]
    return ends == [mine[-1]] and _time_of(mine[-1]) <= now_us


def _cause_of(record: Record) -> str | None:
    """What must have happened in the same attempt before."""
    if record["type"] == "StepScheduled" or record.get("skipType") == "cascade":
        return None
    unbegun = record["type"] in ("StepStarted", "StepSkipped") or record.get("terminal") is True
    return "StepScheduled" if unbegun else "StepStarted"


def _time_of(record: Record) -> int:
    return int(record["timestampUs"])
