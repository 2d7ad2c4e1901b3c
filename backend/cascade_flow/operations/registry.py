"""Workflows and their versions: what is registered, and the pinned graph of a version."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock
from types import MappingProxyType

from cascade_flow import clock
from cascade_flow.dynamodb import registry, shards
from cascade_flow.dynamodb.table import Table
from cascade_flow.errors import (
    ArgumentInvalidError,
    CascadeFlowError,
    GraphInvalidError,
    VersionNotFoundError,
    WorkflowNotFoundError,
    WorkflowRetiredError,
)
from cascade_flow.graph import Graph, each_with_undo, too_late
from cascade_flow.model.events import ValidationIssue
from cascade_flow.model.ids import check_limit, check_pool, check_slug, check_step_id
from cascade_flow.model.workflows import (
    ScheduleDefinition,
    StepDefinition,
    WorkflowMetadata,
    WorkflowNotes,
    WorkflowRegistration,
    WorkflowVersion,
)

_GRAPHS_KEPT = 64
_log = logging.getLogger(__name__)


class Registry:
    """The registered workflows of one table. Versions never change, so their graphs are kept in memory."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._graphs: OrderedDict[tuple[str, str], Graph] = OrderedDict()
        self._keeping = Lock()

    def answers(self) -> bool:
        """Whether the table can be read; where not, the reason is in the log."""
        try:
            registry.get_workflow(self._table, "cascade-flow")
        except CascadeFlowError as error:
            _log.warning("the backend is not ready: %s", error)
            return False
        return True

    def register(self, registration: WorkflowRegistration) -> None:
        """Make a workflow known, and its version where that is new.

        Raises GraphInvalidError, InvalidIdError, ArgumentInvalidError (its input schema is none, or a schedule),
        InputInvalidError (a schedule's doesn't fit).
        """
        self._register(registration, deployed=False)

    def deploy(
        self, registrations: Sequence[WorkflowRegistration], notes: Mapping[str, WorkflowNotes] = MappingProxyType({})
    ) -> None:
        """Register all workflows of a deployment, and retire those that only an earlier one had.

        `notes` are what their code says of them, by slug. What callers have registered is theirs. Raises as `register`.
        """
        for registration in registrations:
            version_id = self._register(registration, deployed=True)
            if registration.slug in notes:
                registry.put_notes(self._table, registration.slug, version_id, notes[registration.slug])
        there = {registration.slug for registration in registrations}
        for entry in registry.list_workflows(self._table):
            if entry.deployed and entry.retired_us is None and entry.metadata.slug not in there:
                self._retire(entry)

    def _retire(self, entry: registry.Entry) -> None:
        """Its schedules first: what is retired is not looked at again."""
        if entry.scheduled:
            self._declare_schedules(entry.metadata.slug, [])
        registry.retire_workflow(self._table, entry.metadata.slug, now_us=clock.now_us())

    def _register(self, registration: WorkflowRegistration, *, deployed: bool) -> str:
        from cascade_flow.operations.validation import defect_of  # noqa: PLC0415  (whoever reads registers nothing)

        check_slug(registration.slug)
        if defect := defect_of(registration.input_schema_json):
            raise ArgumentInvalidError(f"workflow {registration.slug!r} has no usable input schema", issues=[defect])
        for step in each_with_undo(registration.steps):
            check_step_id(step.id)
            if step.limit is not None:
                check_limit(step.limit.name)
        Graph(registration.steps)
        _check_delays(registration)
        if registration.schedules:
            from cascade_flow.operations.declared_schedules import check  # noqa: PLC0415  (few workflows have some)

            check(registration)
        version = _version_of(registration)
        self._remember_pools(version.steps)
        self._put_version(version)
        entry = registry.put_workflow(self._table, registration, version.version_id, deployed=deployed)
        if entry.scheduled:
            self._declare_schedules(registration.slug, registration.schedules or [])
        return version.version_id

    def _declare_schedules(self, slug: str, schedules: Sequence[ScheduleDefinition]) -> None:
        from cascade_flow.operations.declared_schedules import declare  # noqa: PLC0415  (few workflows have some)

        declare(self._table, slug, schedules)

    def create_version(self, version: WorkflowVersion) -> None:
        """Store a version where its id is new; one that is known stays as it is. Raises InvalidIdError."""
        check_slug(version.workflow_slug)
        self._remember_pools(version.steps)
        registry.put_version(self._table, version)

    def _remember_pools(self, steps: Sequence[StepDefinition]) -> None:
        """Before a version is stored: who lists what is due must know where its steps may lie."""
        names = {check_pool(step.executor) for step in each_with_undo(steps) if step.executor is not None}
        shards.remember_pools(self._table, sorted(names))

    def _put_version(self, version: WorkflowVersion) -> None:
        """Somebody else may have created the version before, without its steps: then they are added."""
        if registry.put_version(self._table, version):
            return
        known = registry.get_version(self._table, version.workflow_slug, version.version_id)
        if known is not None and not known.steps:
            registry.put_steps(self._table, known.model_copy(update={"steps": version.steps}))

    def metadata(self, slug: str) -> WorkflowMetadata | None:
        found = registry.get_workflow(self._table, check_slug(slug))
        return None if found is None else found.metadata

    def all_metadata(self) -> list[WorkflowMetadata]:
        """Of the workflows that can be run."""
        return [entry.metadata for entry in self.runnable()]

    def runnable(self) -> list[registry.Entry]:
        """The workflows that can be run, by slug: one query."""
        return [entry for entry in registry.list_workflows(self._table) if entry.retired_us is None]

    def names(self) -> dict[str, str]:
        """What the workflows are called, the retired too, by slug: one query."""
        return {entry.metadata.slug: entry.metadata.name for entry in registry.list_workflows(self._table)}

    def steps(self, slug: str) -> list[StepDefinition]:
        """The steps of the current version; none where the workflow is unknown."""
        entry = registry.get_workflow(self._table, check_slug(slug))
        current = None if entry is None else self.version(slug, entry.version_id)
        return [] if current is None else current.steps

    def versions(self, slug: str, *, limit: int | None = None) -> list[WorkflowVersion]:
        """Oldest first, numbered by age."""
        return registry.list_versions(self._table, check_slug(slug))[:limit]

    def version(self, slug: str, version_id: str) -> WorkflowVersion | None:
        return next((v for v in self.versions(slug) if v.version_id == version_id), None)

    def current_version(self, slug: str) -> WorkflowVersion | None:
        """The one that was registered last; of a workflow that nobody has registered, the newest."""
        entry, versions = registry.get_workflow(self._table, check_slug(slug)), self.versions(slug)
        if entry is None:
            return versions[-1] if versions else None
        return next((version for version in versions if version.version_id == entry.version_id), None)

    def current(self, slug: str) -> registry.Entry:
        """What is registered now; raises WorkflowNotFoundError, naming what there is."""
        entry = registry.get_workflow(self._table, slug)
        if entry is None:
            known = ", ".join(sorted(metadata.slug for metadata in self.all_metadata())) or "none"
            raise WorkflowNotFoundError(f"there is no workflow {slug!r}; registered: {known}")
        return entry

    def for_new_runs(self, slug: str) -> registry.Entry:
        """What new runs get; raises WorkflowNotFoundError, WorkflowRetiredError."""
        entry = self.current(slug)
        if entry.retired_us is not None:
            raise WorkflowRetiredError(
                f"workflow {slug!r} is retired, since the deployment no longer has it: deploy code that declares it, "
                "or run another; its history stays",
                workflow_slug=slug,
                retired_at_us=entry.retired_us,
            )
        return entry

    def graph(self, slug: str, version_id: str) -> Graph:
        """The graph of a version; raises VersionNotFoundError. One read per process and version."""
        key = (slug, version_id)
        graph = self._graphs.get(key) or self._read_graph(slug, version_id)
        with self._keeping:
            self._graphs[key] = graph
            self._graphs.move_to_end(key)
            while len(self._graphs) > _GRAPHS_KEPT:
                self._graphs.popitem(last=False)
        return graph

    def _read_graph(self, slug: str, version_id: str) -> Graph:
        version = registry.get_version(self._table, slug, version_id)
        if version is None:
            raise VersionNotFoundError(f"workflow {slug!r} has no version {version_id}: register it again")
        return Graph(version.steps)


def _check_delays(registration: WorkflowRegistration) -> None:
    """Raises GraphInvalidError where steps can't start in the time that a run has by its registration."""
    late = {} if registration.timeout_us is None else too_late(registration.steps, registration.timeout_us)
    issues = [ValidationIssue(path="steps", message=f"step {step!r}: {said}") for step, said in late.items()]
    if issues:
        raise GraphInvalidError("; ".join(issue.message for issue in issues), issues=issues)


def _version_of(registration: WorkflowRegistration) -> WorkflowVersion:
    steps: Sequence[StepDefinition] = registration.steps
    return WorkflowVersion(
        workflow_slug=registration.slug,
        version_id=registration.version_id or _content_id(registration),
        version_number=1,
        created_at=clock.now_us(),
        step_manifest=[step.id for step in steps],
        total_steps=len(steps),
        git=registration.git,
        steps=list(steps),
    )


def _content_id(registration: WorkflowRegistration) -> str:
    content = json.dumps([step.to_wire() for step in registration.steps], sort_keys=True)
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
