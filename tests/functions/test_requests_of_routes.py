"""What a route asks of the table: as many requests as docs/operations.md says, on a table of some runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import events
from events.deployed import Functions, app
from functions.conftest import deployed, surroundings
from testbed.meter import Meter, meter
from testbed.plugin import Servers
from testbed.servers import CreateTable, fresh_table

pytestmark = pytest.mark.servers("ministack")

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
ROW = re.compile(r"^\| `(?P<route>[A-Z]+ /\S+)` \| (?P<requests>[^|]*\d+[^|]*) \|", re.MULTILINE)


class Told(NamedTuple):
    """The functions with a run that failed and one that is under way."""

    functions: Functions
    failed: str
    held: str

    def event(self, route: str) -> events.Event:
        """A request of a route, about one of these runs."""
        method, path = route.split(" ")
        run_id = self.held if route.startswith("POST /runs/{runId}/cancel") else self.failed
        target = path.replace("{runId}", run_id).replace("{slug}", "parcels").replace("{stepId}", "weigh")
        target = target.replace("{workerId}", "mila").replace("{versionId}", self.version_id)
        return events.get(target) if method == "GET" else events.post(target, BODIES.get(route, {}), method=method)

    @property
    def version_id(self) -> str:
        return self.functions.backend.list_workflow_versions("parcels")[0].version_id


BODIES = {
    "POST /workflows/{slug}/runs": {"input": {"weights": [1]}},
    "POST /runs/batch": {"runs": [{"workflowSlug": "parcels", "input": {"weights": [n]}} for n in range(1, 4)]},
    "POST /runs/{runId}/rerun": {"fromStepId": "weigh", "input": {"weights": [1]}},
    "POST /runs/cancel": {"tags": ["nobody's"]},
    "PUT /workflows/{slug}": {"name": "Parcels", "steps": [{"stepId": "weigh"}]},
}


LAST = ("POST /runs/batch", "POST /runs/{runId}/retry", "PUT /workflows/{slug}")
"""What changes that of which the others tell."""


@pytest.fixture
def told(servers: Servers, table_creator: CreateTable) -> Iterator[tuple[Told, Meter]]:
    with (
        surroundings(),
        fresh_table(servers.running("ministack"), table_creator) as store,
        deployed(store) as functions,
    ):
        app("registration").handler({}, events.Context())
        failed = functions.submit(input={"weights": [1], "broken": True})
        functions.work()
        held = functions.submit()
        functions.asked(events.post("/steps/claim", {"workerId": "mila", "runId": held, "stepId": "weigh"}))
        functions.asked(events.get("/runs"))
        with meter(store.product, store.table) as counting:
            yield Told(functions, failed, held), counting


def rows() -> dict[str, str]:
    return {row["route"]: row["requests"].strip() for row in ROW.finditer(PAGE.read_text(encoding="utf-8"))}


def test_each_costs_what_the_page_says(told: tuple[Told, Meter]) -> None:
    at, counting = told
    counted = {}
    for route in sorted(rows(), key=LAST.__contains__):
        event = at.event(route)
        counting.reset()
        reply = at.functions.asked(event)
        assert reply.status in (200, 201), (route, reply.json)
        counted[route] = str(len(counting.lines))
    assert counted == rows()
