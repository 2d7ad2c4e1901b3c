"""When two answers to a question are the same, and which answers differ on purpose: rules, each a row of docs/peer.md.

The order of equals (runs of one moment, steps of one rank, groups of one count) is not compared, since the peer takes
the order of its folders; nor are messages of a step's diary.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from peer.questions import PAST, STRATEGIES, Question
from peer.seen import Seen

Mend = Callable[[Any, Question, Seen], Any]
ORDERED = frozenset(
    {"load_events", "load_run", "load_step_logs", "load_step_events_for_projection", "list_scheduled_steps"}
)


@dataclass(frozen=True)
class Altered:
    """The peer's answer to these questions as ours must be, where we differ."""

    name: str
    why: str
    questions: frozenset[str]
    mend: Mend


@dataclass(frozen=True)
class Untold:
    """What our answers to these questions tell and the peer's can't: ours must be the peer's but for it."""

    name: str
    why: str
    questions: frozenset[str]
    hide: Callable[[Any], Any]


@dataclass(frozen=True)
class Apart:
    """These questions are not compared at a moment of which this is true."""

    name: str
    why: str
    questions: frozenset[str]
    applies: Callable[[Question, Seen], bool]


# -- what is not compared ----------------------------------------------------------------------------------------------


def _is_unsubmitted(question: Question, seen: Seen) -> bool:
    return not question.told.get("run_ids") and any(run.events and run.state is None for run in seen.values())


def _holds_copies(_: Question, seen: Seen) -> bool:
    return any(_goes_on_from_another(run.events) for run in seen.values())


def _goes_on_from_another(events: Sequence[Mapping[str, Any]]) -> bool:
    if not any(event["type"] in ("WorkflowResumed", "WorkflowRerunFromStep") for event in events):
        return False
    born_us = next((event["timestampUs"] for event in events if event["type"] == "RunSubmitted"), 0)
    return any(event["timestampUs"] < born_us for event in events)


def _run_in_turns(_: Question, seen: Seen) -> bool:
    return sum(run.status == "running" for run in seen.values()) > 1


WORKERS = frozenset({"get_active_workers", "get_worker_by_id"})
NOT_COMPARED: Sequence[Apart] = (
    Apart(
        "unsubmitted-runs",
        "what was told of a run that nobody has submitted is in no report but of that run by its id",
        PAST,
        _is_unsubmitted,
    ),
    Apart(
        "cancelled-runs-leave-the-queue",
        "nothing of a run that has ended can be claimed; the peer's part of the list may be full of it",
        frozenset({"list_scheduled_steps"}),
        lambda question, seen: "limit" in question.told and any(run.ended for run in seen.values()),
    ),
    Apart(
        "current-version",
        "the version that was registered last is current, also where it is not the newest: new runs get it",
        frozenset({"get_current_workflow_version"}),
        lambda question, seen: seen.registered.get(question.place[0], 0) > 1,
    ),
    Apart(
        "copies-count-once",
        "a copied event counts once, in the run that it happened in; the peer counts every copy",
        PAST | WORKERS,
        _holds_copies,
    ),
    Apart(
        "order-of-folders",
        "of several running runs, what the peer says of a worker depends on the order of its folders",
        WORKERS,
        _run_in_turns,
    ),
)

# -- what we answer otherwise ------------------------------------------------------------------------------------------


def _of_live_runs(theirs: Any, _: Question, seen: Seen) -> Any:
    return [ref for ref in theirs if not seen[ref["runId"]].ended]


def _not_claimable_after_the_end(theirs: Any, question: Question, seen: Seen) -> Any:
    run = seen[question.place[1]]
    return (theirs if not run.ended else False) if run.exists else None


def _submitted_ids(theirs: Any, _: Question, seen: Seen) -> Any:
    return [run_id for run_id in theirs if seen[run_id].state is not None]


def _with_more_than_lines(records: Any, question: Question, seen: Seen) -> Any:
    """Nor do lines say where a step stands among the others."""
    run = seen[question.place[1]]
    found = [each for each in records if any(e["type"] != "LogEntry" for e in run.by_step[each["stepId"]])]
    spoken = any(event["type"] == "LogEntry" for event in run.events)
    return sorted(found, key=lambda record: str(record["stepId"])) if spoken else found


ALTERED: Sequence[Altered] = (
    Altered(
        "cancelled-runs-leave-the-queue",
        "nothing of a run that has ended can be claimed",
        frozenset({"list_scheduled_steps"}),
        _of_live_runs,
    ),
    Altered(
        "claim-answers",
        "nothing of a run that has ended can be claimed, and of a run that isn't there we say so",
        frozenset({"is_step_claimable"}),
        _not_claimable_after_the_end,
    ),
    Altered(
        "unsubmitted-runs",
        "an id that is only reserved is no run yet",
        frozenset({"list_run_ids"}),
        _submitted_ids,
    ),
    Altered(
        "lines-make-no-step",
        "log lines lie apart from events, since they cost per kilobyte; they alone make no step",
        frozenset({"load_run"}),
        _with_more_than_lines,
    ),
)


# -- what only we tell -------------------------------------------------------------------------------------------------


def _without_parents_of_failures(answer: Any) -> Any:
    """Events, wherever they stand in the answer."""
    if isinstance(answer, list):
        return [_without_parents_of_failures(inner) for inner in answer]
    if not isinstance(answer, dict):
        return answer
    shown = without(answer, "parentCheckpoint") if answer.get("type") == "StepCheckpointFailed" else answer
    return {name: _without_parents_of_failures(inner) for name, inner in shown.items()}


UNTOLD: Sequence[Untold] = (
    Untold(
        "parents-of-failures",
        "a later attempt must know the numbers that were used inside; the peer's schema drops what it doesn't know",
        frozenset({"load_events", "load_step_events_for_projection"}),
        _without_parents_of_failures,
    ),
)


# -- comparison --------------------------------------------------------------------------------------------------------


def not_compared(question: Question, seen: Seen) -> Apart | None:
    """Why the answers to this are not compared now; None where they are."""
    rules = (rule for rule in NOT_COMPARED if question.name in rule.questions)
    return next((rule for rule in rules if rule.applies(question, seen)), None)


def assert_same(question: Question, ours: Any, theirs: Any, seen: Seen) -> None:
    """Our answer is the peer's, but for what differs on purpose."""
    for rule in ALTERED:
        if question.name in rule.questions:
            theirs = rule.mend(theirs, question, seen)
    for untold in UNTOLD:
        if question.name in untold.questions:
            ours = untold.hide(ours)
    mine, others = _plain(question, ours, seen), _plain(question, theirs, seen)
    assert mine == others, "\n".join([str(question), *_differences(mine, others)])


def _differences(ours: Any, theirs: Any) -> Iterator[str]:
    """What only one of them holds."""
    mine, others = (each if isinstance(each, list) else [each] for each in (ours, theirs))
    yield from (f"ours:   {json.dumps(each)}" for each in mine if each not in others)
    yield from (f"theirs: {json.dumps(each)}" for each in others if each not in mine)


def _plain(question: Question, answer: Any, seen: Seen) -> Any:
    shaped = answer if question.name not in _SHAPES else _SHAPES[question.name](question, answer, seen)
    return _without_messages(shaped) if question.name in ORDERED else _unordered(shaped)


def _unordered(value: Any) -> Any:
    """Without absent fields and without the order of equals."""
    if isinstance(value, dict):
        return {name: _unordered(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return sorted((_unordered(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True))
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def without(value: Any, *names: str) -> Any:
    """The same answer without these fields, wherever they are."""
    if isinstance(value, dict):
        return {name: without(inner, *names) for name, inner in value.items() if name not in names}
    return [without(inner, *names) for inner in value] if isinstance(value, list) else value


def _without_messages(value: Any) -> Any:
    if isinstance(value, dict) and "stateChanges" in value:
        changes = [{**change, "message": ""} for change in value["stateChanges"]]
        return {**value, "stateChanges": changes}
    return [_without_messages(inner) for inner in value] if isinstance(value, list) else value


def _page(question: Question, page: Any, _: Seen) -> Any:
    """Of a part of the list, what orders it: which equals are on a page is nobody's promise."""
    moments = [run["createdAt"] for run in page["runs"]]
    assert moments == sorted(moments, reverse=True), question
    whole = not question.told.keys() & {"limit", "offset"}
    return {"total": page["total"], "order": str(moments), "runs": page["runs"] if whole else None}


def _lines(_: Question, lines: Any, __: Seen) -> Any:
    """No lines and no run are the same to the peer; its lines are smaller."""
    of_wire = {"timestampUs": "timestamp", "stream": "stream", "message": "message", "attemptNumber": "attemptNumber"}
    smaller = [{of_wire[name]: value for name, value in line.items() if name in of_wire} for line in lines or ()]
    return [line if "timestamp" in line else small for line, small in zip(lines or (), smaller, strict=True)]


def _references(question: Question, references: Any, seen: Seen) -> Any:
    """By rank; of a part of the list only the ranks."""
    places = [[ref["workflowSlug"], ref["runId"], ref["stepId"]] for ref in references]
    ranked = [[rank, sorted(equals)] for rank, equals in groupby(places, key=lambda place: _rank(seen, *place))]
    return [rank for rank, _ in ranked] if "limit" in question.told else ranked


def _rank(seen: Seen, _: str, run_id: str, step_id: str) -> list[Any]:
    state = seen[run_id].step(step_id)
    assert state is not None
    return [state.priority, state.available_at]


def _steps(_: Question, steps: Any, __: Seen) -> Any:
    """The fields that the package knows."""
    return [{name: step[name] for name in ("id", "name", "dependencies", "exportOutput")} for step in steps]


def _versions(_: Question, versions: Any, __: Seen) -> Any:
    return [without(version, "steps") for version in versions]


def _errors(question: Question, answer: Any, _: Seen) -> Any:
    """Errors of one normalized stack may have different stacks; which one is the sample depends on folders."""
    exact = STRATEGIES[0] in (*question.place, question.told.get("grouping_strategy"))
    return answer if exact else without(answer, "sampleStack")


def _analysis(_: Question, answer: Any, __: Seen) -> Any:
    """The reason of a message is that of its first occurrence, which depends on folders."""
    found = answer.get("errorAnalysis", answer)
    common = without(found["mostCommonErrors"], "failureReason")
    return {**answer, "errorAnalysis": None, **found, "mostCommonErrors": common}


_SHAPES: Mapping[str, Callable[[Question, Any, Seen], Any]] = {
    "load_run": lambda question, records, seen: _with_more_than_lines(records, question, seen),
    "list_runs": _page,
    "load_step_logs": _lines,
    "list_scheduled_steps": _references,
    "get_workflow_steps": _steps,
    "list_workflow_versions": _versions,
    "get_errors_list": _errors,
    "get_error_detail": _errors,
    "get_error_analysis": _analysis,
    "get_analytics_summary": _analysis,
    "get_workflow_version": lambda _, version, __: without(version, "steps"),
    "get_current_workflow_version": lambda _, version, __: without(version, "steps"),
}
