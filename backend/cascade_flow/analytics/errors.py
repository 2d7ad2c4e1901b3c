"""What fails, and what of it is the same: by reason, by message, by fingerprint. Retried or not, each counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from cascade_flow.analytics.percentiles import percentage
from cascade_flow.errors import InvalidIdError
from cascade_flow.fingerprints import GroupingStrategy, compose_fingerprint
from cascade_flow.model.events import StepEvent, StepFailed
from cascade_flow.model.reports import (
    ErrorAnalysis,
    ErrorBreakdown,
    ErrorDetail,
    ErrorGroup,
    ErrorOccurrence,
    ErrorsPage,
    FrequentError,
)

MOST_COMMON = 10
UNNAMED = "Error"

_Key = TypeVar("_Key")


def compute_error_analysis(
    step_events: Iterable[StepEvent], *, workflow_slug: str | None = None, step_id: str | None = None
) -> ErrorAnalysis:
    """All failures, by reason and by message."""
    failures = _failures(step_events)
    times_us = [failure.timestamp_us for failure in failures]
    by_message = _grouped(failures, lambda failure: failure.error.message)
    return ErrorAnalysis(
        workflow_slug=workflow_slug,
        step_id=step_id,
        total_failures=len(failures),
        unique_errors=len(by_message),
        breakdown_by_reason=_breakdown(failures),
        most_common_errors=[_common(group) for group in by_message[:MOST_COMMON]],
        first_failure=min(times_us, default=None),
        last_failure=max(times_us, default=None),
    )


def compute_errors_page(
    step_events: Iterable[StepEvent], strategy: GroupingStrategy, *, limit: int, offset: int
) -> ErrorsPage:
    """The failures by fingerprint, the most frequent first."""
    groups = _grouped(_failures(step_events), _fingerprinted_by(strategy))
    page = [_group(group, strategy) for group in groups[offset : offset + limit]]
    return ErrorsPage(errors=page, total=len(groups))


def compute_error_detail(
    step_events: Iterable[StepEvent], fingerprint: str, strategy: GroupingStrategy, *, limit: int, offset: int
) -> ErrorDetail:
    """The failures with this fingerprint, newest first; empty words and zeros where there are none."""
    same = _fingerprinted_by(strategy)
    found = [failure for failure in _failures(step_events) if same(failure) == fingerprint]
    found.sort(key=lambda failure: failure.timestamp_us, reverse=True)
    sample = found[0].error if found else None
    return ErrorDetail(
        fingerprint=fingerprint,
        error_message=sample.message if sample else "",
        error_name=sample.name or UNNAMED if sample else "",
        sample_stack=sample.stack or "" if sample else "",
        total_count=len(found),
        affected_runs=_runs(found),
        first_seen=found[-1].timestamp_us if found else 0,
        last_seen=found[0].timestamp_us if found else 0,
        occurrences=[_occurrence(failure) for failure in found[offset : offset + limit]],
        total=len(found),
    )


def check_fingerprint(fingerprint: str) -> str:
    """The fingerprint as given. InvalidIdError where it isn't one."""
    if fingerprint.count(":") == 2:
        return fingerprint
    made_of = "three hashes, joined by ':', as the list of errors has them"
    raise InvalidIdError(f"{fingerprint!r} is no fingerprint: it is made of {made_of}.", field="fingerprint")


def _failures(step_events: Iterable[StepEvent]) -> list[StepFailed]:
    return [event for event in step_events if isinstance(event, StepFailed)]


def _grouped(failures: Iterable[StepFailed], key: Callable[[StepFailed], _Key]) -> list[list[StepFailed]]:
    """The largest group first; among those of one size, the one that was seen first."""
    groups: dict[_Key, list[StepFailed]] = {}
    for failure in failures:
        groups.setdefault(key(failure), []).append(failure)
    return sorted(groups.values(), key=len, reverse=True)


def _fingerprinted_by(strategy: GroupingStrategy) -> Callable[[StepFailed], str]:
    return lambda failure: compose_fingerprint(failure.error_fingerprints, strategy)


def _breakdown(failures: Sequence[StepFailed]) -> list[ErrorBreakdown]:
    counts = Counter(failure.failure_reason for failure in failures)
    return [
        ErrorBreakdown(failure_reason=reason, count=count, percentage=percentage(count, len(failures)))
        for reason, count in counts.items()
    ]


def _common(group: Sequence[StepFailed]) -> FrequentError:
    return FrequentError(
        message=group[0].error.message,
        count=len(group),
        failure_reason=group[0].failure_reason,
        last_occurrence=max(failure.timestamp_us for failure in group),
        occurrences=[_occurrence(failure) for failure in group],
    )


def _group(group: Sequence[StepFailed], strategy: GroupingStrategy) -> ErrorGroup:
    times_us = [failure.timestamp_us for failure in group]
    return ErrorGroup(
        fingerprint=compose_fingerprint(group[0].error_fingerprints, strategy),
        error_message=group[0].error.message,
        error_name=group[0].error.name or UNNAMED,
        sample_stack=group[0].error.stack or "",
        count=len(group),
        affected_runs=_runs(group),
        first_seen=min(times_us),
        last_seen=max(times_us),
    )


def _runs(failures: Iterable[StepFailed]) -> int:
    return len({failure.run_id for failure in failures})


def _occurrence(failure: StepFailed) -> ErrorOccurrence:
    return ErrorOccurrence(
        workflow_slug=failure.workflow_slug,
        run_id=failure.run_id,
        step_id=failure.step_id,
        attempt_number=failure.attempt_number,
        timestamp_us=failure.timestamp_us,
    )
