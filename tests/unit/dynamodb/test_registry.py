"""Workflows and versions as they are stored: what a registration says, what stays, in which order all is told."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow import ScheduleDefinition, WorkflowRegistration
from cascade_flow.dynamodb import keys, registry
from cascade_flow.dynamodb.registry import Entry
from cascade_flow.model.workflows import RunLimit, StepNote, WorkflowMetadata, WorkflowNotes, WorkflowVersion
from unit.dynamodb.stored import Counting
from unit.engine.facts import step

SCHEDULES = [ScheduleDefinition(name="s", every_us=60_000_000)]
LIMIT = RunLimit(at_most=2, key="k", skips=True)
META = WorkflowMetadata(slug="flow", name="Flow", location="here", input_schema_json={"type": "object"})
BARE = Entry(META, "v2", None)


def put(client: Counting, version_id: str = "v2", *, deployed: bool = False, slug: str = "flow", **more: Any) -> Entry:
    said = {**META.model_dump(), "slug": slug, "steps": [step("a")], "git": None, **more}
    return registry.put_workflow(client.table, WorkflowRegistration(**said), version_id, deployed=deployed)


@pytest.mark.parametrize(
    ("said", "entry"),
    [
        ({}, BARE),
        ({"timeout_us": 5}, BARE._replace(timeout_us=5)),
        ({"run_limit": LIMIT}, BARE._replace(run_limit=LIMIT)),
        ({"schedules": SCHEDULES}, BARE._replace(scheduled=True)),
        ({"schedules": []}, BARE),
        ({"deployed": True}, BARE._replace(deployed=True)),
        ({"version_id": "v3"}, BARE._replace(version_id="v3")),
    ],
    ids=["bare", "a timeout", "a limit", "a schedule", "no schedules", "deployed", "another version"],
)
def test_an_entry_is_what_the_last_registration_says(client: Counting, said: dict[str, Any], entry: Entry) -> None:
    """But that it ever had a schedule is not forgotten, nor what is said of it to people."""
    assert put(client, **said) == entry
    assert registry.get_workflow(client.table, "flow") == entry
    put(client, "v1", deployed=True, timeout_us=9, run_limit=RunLimit(at_most=1), schedules=SCHEDULES)
    registry.put_notes(client.table, "flow", "v1", WorkflowNotes(description="words"))
    registry.retire_workflow(client.table, "flow", now_us=7)
    again = entry._replace(scheduled=True, description="words")
    assert put(client, **said) == again
    assert registry.get_workflow(client.table, "flow") == again
    assert registry.get_workflow(client.table, "other") is None


def test_what_a_deployment_has_is_retired_and_nothing_else(client: Counting) -> None:
    put(client, deployed=True)
    put(client, slug="mine")
    for slug in ("flow", "mine", "nothing"):
        registry.retire_workflow(client.table, slug, now_us=7)
    client.asked.clear()
    found = registry.list_workflows(client.table)
    assert [(entry.metadata.slug, entry.retired_us) for entry in found] == [("flow", 7), ("mine", None)]
    assert len(client.asked) == 1


def test_of_callers_workflows_each_is_listed_once_in_order_registered_or_not(client: Counting) -> None:
    put(client)
    for slug in ("b", "a", "b"):
        registry.put_called(client.table, slug)
    assert registry.list_called(client.table) == ["a", "b"]
    assert [entry.metadata.slug for entry in registry.list_workflows(client.table)] == ["flow"]


def version(version_id: str, created_at: int, *steps: str, slug: str = "flow", number: int = 1) -> WorkflowVersion:
    return WorkflowVersion(
        workflow_slug=slug,
        version_id=version_id,
        version_number=number,
        created_at=created_at,
        step_manifest=[*steps],
        total_steps=len(steps),
        steps=[step(name) for name in steps],
    )


def test_a_version_is_put_once_and_gets_its_steps_once_they_are_told(client: Counting) -> None:
    assert registry.put_version(client.table, version("v1", 5))
    assert not registry.put_version(client.table, version("v1", 6, "b"))
    assert registry.get_version(client.table, "flow", "v1") == version("v1", 5)
    registry.put_steps(client.table, version("v1", 5, "a"))
    assert registry.get_version(client.table, "flow", "v1") == version("v1", 5, "a")
    assert registry.get_version(client.table, "flow", "v2") is None
    assert registry.get_version(client.table, "flow2", "v1") is None


def test_versions_are_numbered_by_age_then_by_id_with_what_is_noted_of_them(client: Counting) -> None:
    for each in (
        version("v9", 1),
        version("v2", 3),
        version("v1", 3),
        version("v5", 2),
        version("v0", 0, slug="flow2"),
    ):
        assert registry.put_version(client.table, each)
    put(client)
    first, last = WorkflowNotes(description="first"), WorkflowNotes(steps={"a": StepNote(description="words")})
    registry.put_notes(client.table, "flow", "v9", first)
    assert (registry.get_workflow(client.table, "flow") or BARE).description == "first"
    registry.put_notes(client.table, "flow", "v1", last)
    assert (registry.get_workflow(client.table, "flow") or BARE).description is None
    registry.put_notes(client.table, "flow", "v5", WorkflowNotes(description=""))
    assert (registry.get_workflow(client.table, "flow") or BARE).description == ""
    expected = [version("v9", 1), version("v5", 2, number=2), version("v1", 3, number=3), version("v2", 3, number=4)]
    client.asked.clear()
    assert registry.list_versions(client.table, "flow") == expected
    assert registry.list_noted(client.table, "flow") == (
        expected,
        {"v9": first, "v1": last, "v5": WorkflowNotes(description="")},
    )
    assert len(client.asked) == 2


def test_notes_lie_with_the_workflows_words_or_not_at_all(client: Counting) -> None:
    put(client)
    client.asked.clear()
    registry.put_notes(client.table, "flow", "v1", WorkflowNotes())
    assert [len(asked["TransactItems"]) for asked in client.asked] == [2]
    assert client.stored(keys.notes("flow", "v1"))
