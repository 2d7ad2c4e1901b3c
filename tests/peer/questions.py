"""Everything that can be asked of a backend: each question as our backend is asked it, and as the peer's is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import Any

from pydantic.alias_generators import to_camel

from cascade_flow import DynamoDBBackend
from cascade_flow.errors import GoneError
from cascade_flow.fingerprints import GroupingStrategy
from peer.operations import Call, to_wire

STRATEGIES: tuple[GroupingStrategy, ...] = ("exact", "normalized", "portable")
REPORTS = (
    "get_error_analysis",
    "get_retry_analysis",
    "get_scheduling_latency",
    "get_step_duration",
    "get_workflow_duration",
    "get_worker_stability",
    "get_throughput",
    "get_success_rate",
    "get_analytics_summary",
)
PAST = frozenset({*REPORTS, "get_errors_list", "get_error_detail"})
"""Those about what happened in a range of time."""
_AS_RANGE = {"get_errors_list": ("start", "end"), "get_error_detail": ("start", "end")}


@dataclass(frozen=True)
class Question:
    """One query of the contract. `place` are its arguments by position, `told` its options."""

    name: str
    place: tuple[Any, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def call(self) -> Call:
        """How the peer is asked."""
        if self.name == "load_step_logs":
            return ["loadStepLogs", *self.place, *self.told.values()]
        return [to_camel(self.name), *self.place, *([self._options()] if self.told else [])]

    def ask(self, backend: DynamoDBBackend) -> Any:
        """Our answer as JSON; of what isn't there it is None."""
        try:
            return to_wire(getattr(backend, self.name)(*self.place, **self.told))
        except GoneError:
            return None

    def _options(self) -> dict[str, Any]:
        said = {to_camel(name): to_wire(value) for name, value in self.told.items() if value is not None}
        if self.name == "list_scheduled_steps" and "availableBeforeUs" in said:
            said["availableBefore"] = said.pop("availableBeforeUs")
        start, end = _AS_RANGE.get(self.name, ("startUs", "endUs"))
        if "startUs" in said and self.name not in REPORTS:
            said["timeRange"] = {start: said.pop("startUs"), end: said.pop("endUs")}
        return said

    def __str__(self) -> str:
        given = [*map(repr, self.place), *(f"{name}={value!r}" for name, value in self.told.items())]
        return f"{self.name}({', '.join(given)})"


@dataclass(frozen=True)
class Asked:
    """A question at a moment."""

    question: Question
    at_us: int


def questions_about(runs: Mapping[str, str], steps: Sequence[str], workers: Sequence[str]) -> tuple[Question, ...]:
    """All that can be asked about these runs (each with its workflow), steps and workers."""
    return _questions(tuple(runs.items()), tuple(steps), tuple(workers))


@lru_cache(maxsize=1)
def _questions(
    runs: tuple[tuple[str, str], ...], steps: tuple[str, ...], workers: tuple[str, ...]
) -> tuple[Question, ...]:
    slugs = tuple(dict.fromkeys(slug for _, slug in runs))
    found = [question for run_id, slug in runs for question in _of_run(slug, run_id, steps)]
    found += [question for slug in slugs for question in _of_workflow(slug)]
    found += [*_of_lists(slugs), *_of_now(slugs, workers)]
    found += [Question(name, told=told) for name, told in product(REPORTS, _scopes(runs))]
    found += [Question("get_errors_list", told={"grouping_strategy": each, "limit": 10}) for each in STRATEGIES]
    return tuple(found)


def _of_run(slug: str, run_id: str, steps: Sequence[str]) -> Iterator[Question]:
    yield Question("get_run", (run_id,))
    for name in ("run_exists", "load_run", "load_events", "load_step_events_for_projection", "get_failed_steps"):
        yield Question(name, (slug, run_id))
    yield Question("load_events", (slug, run_id), {"category": "workflow"})
    yield Question("load_events", (slug, run_id), {"category": "step", "types": ["StepStarted", "LogEntry"]})
    yield Question("load_events", (slug, run_id), {"types": []})
    for step_id in steps:
        yield Question("load_events", (slug, run_id), {"category": "step", "step_id": step_id})
        yield Question("is_step_claimable", (slug, run_id, step_id))
        yield Question("load_step_logs", (slug, run_id, step_id))
        yield Question("load_step_logs", (slug, run_id, step_id), {"attempt_number": 1})


def _of_workflow(slug: str) -> Iterator[Question]:
    names = ["list_run_ids", "get_workflow_metadata", "get_workflow_steps", "get_current_workflow_version"]
    for name in (*names, "list_workflow_versions"):
        yield Question(name, (slug,))
    yield Question("get_workflow_version", (slug, "sha256:1"))
    yield Question("list_workflow_versions", (slug,), {"limit": 1})
    yield Question("list_workflow_versions", (slug,), {"limit": 0})


def _of_lists(slugs: Sequence[str]) -> Iterator[Question]:
    yield from (Question(name) for name in ("list_runs", "list_active_workflows", "list_workflow_metadata"))
    filters: list[dict[str, Any]] = [
        {"status": ["pending"]},
        {"status": ["running", "failed"]},
        {"status": ["completed", "cancelled"]},
        {"status": [], "tags": []},
        {"tags": ["blue"]},
        {"tags": ["blue", "night"], "status": ["running"]},
        {"limit": 2},
        {"limit": 1, "offset": 1},
        {"offset": 2},
    ]
    yield from (Question("list_runs", told=told) for told in filters)
    yield from (Question("list_runs", told={"workflow_slug": slug}) for slug in slugs)
    yield Question("list_scheduled_steps")
    yield Question("list_scheduled_steps", told={"limit": 2})
    yield Question("list_scheduled_steps", told={"available_before_us": 2**51})
    yield from (Question("list_scheduled_steps", told={"workflow_slug": slug}) for slug in slugs)


def _of_now(slugs: Sequence[str], workers: Sequence[str]) -> Iterator[Question]:
    yield from (Question(name) for name in ("get_queue_depth", "get_queue_depth_by_workflow", "get_active_workers"))
    yield from (Question("get_queue_depth", told={"workflow_slug": slug}) for slug in slugs)
    yield Question("get_active_workers", told={"include_inactive": True})
    yield Question("get_active_workers", told={"stale_threshold_us": 12_000_000})
    yield from (Question("get_worker_by_id", (worker,)) for worker in (*workers, "nobody"))


def _scopes(runs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    ids = [run_id for run_id, _ in runs]
    return [{}, {"workflow_slug": runs[0][1]}, {"run_ids": ids}, {"step_id": "a", "run_ids": ids[:2]}]
