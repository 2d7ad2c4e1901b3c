"""What steps have given: the outputs that a step receives, and those that the run exports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cascade_flow import clock
from cascade_flow.dynamodb.codec import Record, references_of
from cascade_flow.engine import runs
from cascade_flow.engine.state import Branch, Commit, Facts
from cascade_flow.errors import RunNotFoundError, StepNotFoundError
from cascade_flow.operations.payloads import key_in_bucket
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import dataclass, replace


@dataclass(frozen=True)
class Inputs:
    """What a step is given: the run's input and its dependencies' outputs, as JSON text; None for what was skipped."""

    input: str | None
    outputs: Mapping[str, str | None]


def output_path(runtime: Runtime, slug: str, run_id: str, step_id: str, attempt: int) -> str:
    """The S3 URI of an attempt's large output. Raises ConfigurationError where there is no bucket, RunNotFoundError;
    StepNotFoundError where the attempt has no output, or one that is small enough for the table.
    """
    bucket = runtime.payloads.bucket_name
    history = runtime.ledger.history(runtime.run_of(slug, run_id).run_id)
    for record in history.records if history else ():
        ended = record["type"] == "StepCompleted" and record["attemptNumber"] == attempt
        place = references_of(record).get("output") if ended and record["stepId"] == step_id else None
        if place is not None and (key := key_in_bucket(place)) is not None:
            return f"s3://{bucket}/{key}"
    raise StepNotFoundError(
        f"attempt {attempt} of step {step_id!r} has no output in S3: it has none, or one that fits the table; "
        "load_events brings it"
    )


def exported(runtime: Runtime, facts: Facts, known: Mapping[str, str | None]) -> dict[str, Any]:
    """The outputs of the exported steps that completed, as values; what is `known` already is not read.

    A run that ends has all its steps behind it: KeyError where the history does not tell what came of one.
    """
    texts = _texts_of_exports(runtime, facts, known)
    return {step: json.loads(text) for step in facts.graph.exports if (text := texts[step]) is not None}


def _texts_of_exports(runtime: Runtime, facts: Facts, known: Mapping[str, str | None]) -> Mapping[str, str | None]:
    texts = dict(known)
    if missing := [step for step in facts.graph.exports if step not in texts]:
        history = runtime.ledger.history(facts.run_id)
        texts |= outputs_in(runtime, facts.run_id, history.records if history else (), missing)
    return texts


def with_end(runtime: Runtime, facts: Facts, commit: Commit, known: Mapping[str, str | None]) -> Commit:
    """The commit with the run's end, where no step is left after it. What an item gives, its run gives as it is."""
    if commit.after.status != "ended" or not facts.graph.is_last(commit.after.step):
        return commit
    is_item = facts.up is not None and facts.up.is_item
    outputs = {} if is_item else exported(runtime, facts, known)
    end = runs.completed(facts, outputs, now_us=clock.now_us(), after_us=commit.after.last_us)
    if is_item:
        text = _texts_of_exports(runtime, facts, known)[commit.after.step]
        end = end.model_copy(update={"output": text or "null"})
    return replace(commit, end=end)


def inputs_of(runtime: Runtime, facts: Facts, branch: Branch, records: Sequence[Record]) -> Mapping[str, str | None]:
    """The outputs of a step's dependencies."""
    return _outputs(runtime, facts.run_id, ends_of_dependencies(runtime, facts, branch, records))


def ends_of_dependencies(
    runtime: Runtime, facts: Facts, branch: Branch, records: Sequence[Record]
) -> Mapping[str, Record]:
    """How a step's dependencies ended: in its branch's tail or origin (`records`), else in the run's history."""
    wanted = facts.graph.step(branch.step).dependencies
    if len(wanted) <= 1:
        return _ends((*records, *branch.tail), wanted)
    history = runtime.ledger.history(facts.run_id)
    if history is None:
        raise RunNotFoundError(run_id=facts.run_id)
    return _ends(history.records, wanted)


def knows_enough(facts: Facts, branch: Branch, known: Mapping[str, str | None]) -> bool:
    """Whether a step's dependencies' outputs are known or in its branch's tail; those of several are read at once."""
    wanted = facts.graph.step(branch.step).dependencies
    return len(wanted) > 1 or all(step in known or step in _ends(branch.tail, wanted) for step in wanted)


def outputs_in(
    runtime: Runtime, run_id: str, records: Iterable[Record], wanted: Iterable[str]
) -> dict[str, str | None]:
    """The outputs of these steps as far as these records hold them; None for a step that was skipped."""
    return _outputs(runtime, run_id, _ends(records, wanted))


def _ends(records: Iterable[Record], wanted: Iterable[str]) -> dict[str, Record]:
    steps = set(wanted)
    return {
        record["stepId"]: record
        for record in records
        if record["type"] in ("StepCompleted", "StepSkipped") and record["stepId"] in steps
    }


def _outputs(runtime: Runtime, run_id: str, ends: Mapping[str, Record]) -> dict[str, str | None]:
    whole = runtime.payloads.whole(run_id, list(ends.values()))
    return {record["stepId"]: record.get("output") for record in whole}
