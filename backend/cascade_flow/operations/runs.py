"""A run from its submission to its start, how it is looked up, and how it is cancelled or runs out of time."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, cast

from cascade_flow import clock
from cascade_flow.dynamodb import listing
from cascade_flow.dynamodb.changes import RunRefused
from cascade_flow.dynamodb.codec import Record, to_wire, without_payload
from cascade_flow.dynamodb.registry import Entry, list_called as called_slugs
from cascade_flow.dynamodb.run_ledger import KeyTaken
from cascade_flow.engine import runs
from cascade_flow.engine.limits import key_values, limit_of_runs
from cascade_flow.engine.runs import Submission
from cascade_flow.engine.state import ENDED, LATEST_US, LONGEST_DELAY_US, Facts, Run, Stop, is_urgent
from cascade_flow.errors import (
    ArgumentInvalidError,
    ConflictError,
    IdempotencyConflictError,
    InputInvalidError,
    RunNotCancellableError,
    WorkflowRetiredError,
)
from cascade_flow.model.events import RunSubmitted, ValidationIssue, parse_event
from cascade_flow.model.ids import check_new_run_id, check_run_id, check_slug
from cascade_flow.model.states import LinkedRun, RunPage, RunState, RunStatus, SubmittedRun
from cascade_flow.model.workflows import RunSubmission
from cascade_flow.operations.after_commit import AfterCommit
from cascade_flow.operations.caller import Caller
from cascade_flow.operations.caller_runs import CallerRuns
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.unreadable import readable
from cascade_flow.operations.validation import check_input
from cascade_flow.records import replace
from cascade_flow.serialization import safe_serialize
from cascade_flow.wake import Wake

if TYPE_CHECKING:
    from cascade_flow.operations.run_places import RunPlaces

_ROUNDS = 20
_LONGEST_TIMEOUT_US = 366 * 86_400_000_000


class RunPart(NamedTuple):
    """Some runs, newest first, without inputs that were put aside; and where to go on if there may be more."""

    runs: list[LinkedRun]
    more: listing.Place | None


class Runs:
    """The runs of one table."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._after_commit = AfterCommit(runtime)
        self._stops = self._after_commit.stops
        self._callers = CallerRuns(runtime, Caller(runtime))

    @cached_property
    def _places(self) -> RunPlaces:
        """Where runs get their places: few workflows have such a limit."""
        from cascade_flow.operations.run_places import RunPlaces  # noqa: PLC0415

        return RunPlaces(self._runtime)

    def submit(self, submission: RunSubmission) -> SubmittedRun:
        """Make a run, or find the one that the idempotency key stands for.

        Raises WorkflowNotFoundError, WorkflowRetiredError, InputInvalidError, InvalidIdError, IdempotencyConflictError,
        ConflictError (the run id is taken), PayloadTooLargeError.
        """
        try:
            return self._submit(submission)
        except (WorkflowRetiredError, InputInvalidError):
            # What is in the way of a new run is not in the way of the one that is there.
            known = self._known_run(submission)
            if known is None:
                raise
            return known

    def _submit(self, submission: RunSubmission) -> SubmittedRun:
        entry = self._runtime.registry.for_new_runs(check_slug(submission.workflow_slug))
        order = _order(submission, entry)
        check_input(entry.metadata.input_schema_json, order.input)
        facts = self._facts(submission, entry, order)
        if entry.run_limit is not None and entry.run_limit.skips:
            facts = self._places.alone(facts)
            if facts.place is None:
                return self._known_run(submission) or SubmittedRun(run_id=facts.run_id, is_new=False)
        references = self._runtime.payloads.put_input(facts.run_id, order.input, expires_s=facts.expires_s)
        opening = runs.submit(facts, order, now_us=clock.now_us())
        key, content = submission.idempotency_key, _content_of(submission)
        try:
            run = self._runtime.run_ledger.submit(facts, opening, references, key=key, content=content)
        except KeyTaken as taken:
            self._not_made(facts)
            return self._same_run(taken, submission, entry)
        except RunRefused:
            self._not_made(facts)
            taken_id = f"run id {facts.run_id!r} is taken: choose another, or leave it out"
            raise ConflictError(taken_id, run_id=facts.run_id) from None
        self._runtime.observer.committed(opening.events)
        self._begin(run, opening)
        return SubmittedRun(run_id=run.run_id, is_new=True)

    def _not_made(self, facts: Facts) -> None:
        if facts.place is not None:
            self._places.leave_by(facts)

    def _known_run(self, submission: RunSubmission) -> SubmittedRun | None:
        """The run that the submission has made already, by its key."""
        key = submission.idempotency_key
        taken = None if key is None else self._runtime.run_ledger.key_taken(key)
        if taken is None:
            return None
        try:
            return self._same_run(taken, submission, self._runtime.registry.current(submission.workflow_slug))
        except IdempotencyConflictError:
            return None

    def _same_run(self, taken: KeyTaken, submission: RunSubmission, entry: Entry) -> SubmittedRun:
        usual_us = self._timeout_us(entry)
        if taken.content not in _contents_of(submission, usual_us) or submission.run_id not in (None, taken.run_id):
            raise IdempotencyConflictError(
                f"this idempotency key stands for run {taken.run_id!r}, which was submitted with other content: "
                "use a new key, or send the same content",
                run_id=taken.run_id,
            )
        return SubmittedRun(run_id=taken.run_id, is_new=False)

    def start(self, run: Run) -> Run:
        """Start a pending run whose time has come; one that another has started or stopped is left as it is."""
        place = run.place
        if run.limit is not None and place is None:
            place = self._places.place_of(run)
            if place is None:
                return run
        facts, submitted = self._runtime.facts(run), run.tail[0]
        opening = runs.start(
            facts,
            replace(run, place=place),
            now_us=clock.now_us(),
            has_schema=submitted["hasInputSchema"],
            has_input=submitted.get("input") is not None,
        )
        try:
            run = self._runtime.run_ledger.start(facts, run, opening)
        except RunRefused as refused:
            if place is not None:
                self._places.not_started(run, place, refused.now)
            return refused.now or run
        self._runtime.observer.committed(opening.events)
        self._after_commit.begin(self._runtime.facts(run), opening.births, run)
        return self.make_owed_roots(run)

    def make_owed_roots(self, run: Run) -> Run:
        """Make the roots that a run owes."""
        try:
            return self._after_commit.make_owed_roots(self._runtime.facts(run), run)
        except RunRefused as refused:
            return refused.now or run

    def cancel(self, run_id: str, reason: str | None, *, undos: bool = True) -> None:
        """Stop a run; once this returned, nothing of it can be claimed. One that undoes another only where `undos` too
        are meant.

        Raises RunNotFoundError, RunNotCancellableError.
        """
        for _ in range(_ROUNDS):
            run = self._runtime.submitted(run_id)
            if run.driver == "caller":
                self._callers.cancel(run, reason)
                return
            self._runtime.nobodys_child(run, RunNotCancellableError)
            if run.status in ENDED:
                over = f"run {run_id!r} is {run.status} already: there is nothing to cancel"
                raise RunNotCancellableError(over, run_id=run_id, status=run.status)
            if run.undoing is not None and not undos:
                meant = f"run {run_id!r} undoes run {run.undoing.run_id!r}: to stop that, cancel it by its id"
                raise RunNotCancellableError(meant, run_id=run_id, status=run.status)
            if self._intend(run, Stop("cancelled", run.run_attempt, reason=reason)):
                self._stops.carry_on(run_id)
                return
        raise ConflictError(run_id=run_id)

    def time_out(self, run: Run) -> None:
        """Stop a run that has met its deadline."""
        if self._intend(run, Stop("timeout", run.run_attempt)):
            self._stops.carry_on(run.run_id)

    def get(self, run_id: str) -> RunState | None:
        """A run's state; one request, but for an input that was put aside."""
        run = self._runtime.ledger.run(check_run_id(run_id))
        return None if run is None or run.status == "reserved" else self.state_of(run)

    def state_of(self, run: Run) -> RunState:
        """The state that a stored run says; it equals the fold of its events."""
        return _state(run, self._runtime.payloads.whole(run.run_id, run.tail[:1])[0])

    def page(
        self,
        *,
        workflow_slug: str | None,
        status: Sequence[str] | None,
        tags: Sequence[str] | None,
        limit: int | None,
        offset: int,
    ) -> RunPage:
        """Runs, newest first; `total` counts all that match, on the index alone."""
        wanted = listing.Filter(tuple(status or ()), tuple(tags or ()))
        shards = self._shards(workflow_slug)
        found = listing.page(self._runtime.ledger.table, shards, wanted, offset=offset, limit=limit)
        runs = [_state(run, without_payload(run.tail[0])) for run in self._found(found.ids)]
        return RunPage(runs=runs, total=found.total)

    def part(
        self,
        workflow_slug: str | None,
        wanted: listing.Filter,
        *,
        limit: int,
        after: listing.Place = listing.START,
        offset: int = 0,
    ) -> RunPart:
        """The next runs behind a place, newest first; what that costs does not grow with what is stored.

        Raises WorkflowNotFoundError where nobody ever had any, ArgumentInvalidError where the offset is too deep.
        """
        found = self.found(workflow_slug, wanted, limit=limit, after=after, offset=offset)
        return RunPart([outline_of(run) for run in self._found(found.ids)], found.more)

    def found(
        self,
        workflow_slug: str | None,
        wanted: listing.Filter,
        *,
        limit: int,
        after: listing.Place = listing.START,
        offset: int = 0,
    ) -> listing.Part:
        """The ids of the next runs behind a place: from the index alone. Raises as `part`."""
        places, table = self._shards(workflow_slug), self._runtime.ledger.table
        found = listing.part(table, places, wanted, limit=limit, after=after, offset=offset)
        if found.to_skip:
            too_deep = ValidationIssue(path="offset", message="lies too deep in what this filter passes: use cursor")
            raise ArgumentInvalidError(issues=[too_deep])
        if workflow_slug is not None and not found.ids and found.more is None and after == listing.START:
            self._runtime.registry.current(workflow_slug)
        return found

    def count(self, workflow_slug: str | None, wanted: listing.Filter) -> listing.Count:
        """How many there are, as far as anybody counts."""
        return listing.count(self._runtime.ledger.table, self._shards(workflow_slug), wanted)

    def tally(self, workflow_slug: str | None, wanted: listing.Filter) -> listing.Tally:
        """How many there are by status, as far as anybody counts."""
        return listing.tally(self._runtime.ledger.table, self._shards(workflow_slug), wanted)

    def ids(self, workflow_slug: str) -> list[str]:
        """The ids of a workflow's runs, newest first: from the index alone."""
        table = self._runtime.ledger.table
        return list(listing.newest_first(table, listing.shards_of(table, check_slug(workflow_slug))))

    def _shards(self, workflow_slug: str | None) -> list[str]:
        slugs = self._slugs() if workflow_slug is None else [check_slug(workflow_slug)]
        return [shard for slug in slugs for shard in listing.shards_of(self._runtime.ledger.table, slug)]

    def _slugs(self) -> list[str]:
        """The workflows that are or were registered, and those of which callers drive runs."""
        return sorted({*self._runtime.registry.names(), *called_slugs(self._runtime.ledger.table)})

    def _found(self, ids: Sequence[str]) -> list[Run]:
        found = {run.run_id: run for run in readable(self._runtime.ledger.runs, ids)}
        return [found[id] for id in ids if id in found]

    def _begin(self, run: Run, opening: runs.Opening) -> None:
        self._after_commit.begin(self._runtime.facts(run), opening.births, run)
        if run.status == "running":
            self.make_owed_roots(run)
        elif run.limit is not None and run.available_at_us <= clock.now_us():
            self.start(run)
        elif run.available_at_us - clock.now_us() <= LONGEST_DELAY_US:
            urgent = is_urgent(run.priority)
            self._runtime.queue.send([Wake(run.run_id, available_at_us=run.available_at_us, urgent=urgent)])

    def _intend(self, run: Run, stop: Stop) -> bool:
        if run.stop is not None and (run.stop.kind == stop.kind or stop.kind != "cancelled"):
            return True
        try:
            self._runtime.run_ledger.intend(run, stop, due_us=clock.now_us() + self._runtime.timing.grace_us)
        except RunRefused:
            return False
        return True

    def _timeout_us(self, entry: Entry) -> int:
        return entry.timeout_us or self._runtime.timing.timeout_us

    def _facts(self, submission: RunSubmission, entry: Entry, order: Submission) -> Facts:
        timing = replace(self._runtime.timing, timeout_us=self._timeout_us(entry))
        starts_us = max(clock.now_us(), order.available_at_us)
        expires_us = starts_us + (order.timeout_us or timing.timeout_us) + timing.retention_us
        graph = self._runtime.registry.graph(submission.workflow_slug, entry.version_id)
        return Facts(
            run_id=secrets.token_hex(8) if submission.run_id is None else check_new_run_id(submission.run_id),
            workflow_slug=submission.workflow_slug,
            graph=graph,
            expires_s=expires_us // 1_000_000,
            timing=timing,
            priority=order.priority,
            limit_keys=key_values(graph.declared.values(), order.input),
            limit=limit_of_runs(submission.workflow_slug, entry.run_limit, order.input),
        )


def outline_of(run: Run) -> LinkedRun:
    """The state that a stored run says, without an input that was put aside: nothing is read."""
    return linked(_state(run, without_payload(run.tail[0])), run)


def linked(state: RunState, run: Run) -> LinkedRun:
    """A run's state with what undoes it, or what it undoes."""
    undoes = None if run.undoing is None else run.undoing.run_id
    return LinkedRun(**dict(state), undoes=undoes, undone_by=run.undone_by)


def _state(run: Run, record: Record) -> RunState:
    submitted = parse_event(to_wire(record, workflow_slug=run.workflow_slug, run_id=run.run_id))
    assert isinstance(submitted, RunSubmitted)
    return RunState(
        run_id=run.run_id,
        workflow_slug=run.workflow_slug,
        status=cast(RunStatus, run.status),
        available_at=submitted.available_at_us,
        priority=submitted.priority,
        workflow_attempt_number=run.run_attempt,
        created_at=submitted.timestamp_us,
        started_at=run.started_at_us,
        completed_at=run.completed_at_us,
        timeout=submitted.timeout_us,
        idempotency_key=submitted.idempotency_key,
        metadata=submitted.metadata,
        tags=submitted.tags,
        input=submitted.input,
    )


def _order(submission: RunSubmission, entry: Entry) -> Submission:
    if (submission.timeout or 0) > _LONGEST_TIMEOUT_US:
        raise InputInvalidError(issues=[ValidationIssue(path="timeout", message="a run lasts a year at most")])
    if (submission.available_at or 0) > LATEST_US:
        raise InputInvalidError(issues=[ValidationIssue(path="availableAt", message="it lies beyond the year 2286")])
    return Submission(
        version_id=entry.version_id,
        available_at_us=ceil(submission.available_at or clock.now_us()),
        has_input_schema=entry.metadata.input_schema_json is not None,
        input=None if submission.input is None else safe_serialize(submission.input),
        priority=submission.priority or 0,
        timeout_us=submission.timeout,
        idempotency_key=submission.idempotency_key,
        metadata=submission.metadata,
        tags=None if submission.tags is None else tuple(submission.tags),
    )


def _contents_of(submission: RunSubmission, usual_us: int) -> Iterator[str]:
    """The submission's content; and that with the workflow's own timeout said, or left out."""
    yield _content_of(submission)
    if submission.timeout in (None, usual_us):
        other = usual_us if submission.timeout is None else None
        yield _content_of(submission.model_copy(update={"timeout": other}))


def _content_of(submission: RunSubmission) -> str:
    """What two submissions with one idempotency key must have in common: all but when they are due, and the run's id.

    What is left out is what stands for it: no other content.
    """
    said = submission.model_dump(exclude={"available_at", "idempotency_key", "run_id"})
    meant = {
        "priority": submission.priority or 0,
        "metadata": submission.metadata or None,
        "tags": submission.tags or None,
    }
    content = json.loads(safe_serialize(said | meant))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
