"""What runs that undo others read of these: which steps have completed, and what each has given."""

from __future__ import annotations

from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.codec import Record
from cascade_flow.dynamodb.table import Table
from cascade_flow.engine.state import LATEST_US
from cascade_flow.engine.undoing import Completion, Done


def completions(table: Table, run_id: str) -> list[Completion]:
    """Every step of a run that has completed, and every map that was still under way; of a run of which nothing is live
    all that ever will.
    """
    found: dict[str, Completion] = {}
    for item in table.query(keys.history(run_id)):
        commit_us = keys.commit_time_of(str(item[keys.SORT]))
        if (map_id := _under_way(item)) is not None:
            found[map_id] = Completion(LATEST_US, map_id, None, in_part=True)
        for record in filter(_is_completion, items.to_records(item)):
            found[record["stepId"]] = Completion(record["timestampUs"], record["stepId"], commit_us)
    return list(found.values())


def completion(table: Table, run_id: str, branch: str, done: Done) -> Record | None:
    """The event that tells what a step has given; None where it is no longer there."""
    at = keys.branch(run_id, branch) if done.commit_us is None else keys.commit(run_id, done.commit_us)
    told = filter(_is_completion, items.to_records(table.get(at) or {}))
    return next((record for record in told if record["stepId"] == done.step), None)


def _under_way(item: items.Item) -> str | None:
    """The map that a branch stands at, if it has handed its items out; one run alone undoes what it has done itself."""
    branch = items.to_branch(item) if "fa" in item else None
    return branch.step if branch is not None and branch.family is not None and branch.family.version is None else None


def _is_completion(record: Record) -> bool:
    return bool(record["type"] == "StepCompleted")
