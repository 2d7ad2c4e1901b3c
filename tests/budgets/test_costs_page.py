"""docs/costs.md says what is true: what is counted, and what the template holds, times list prices."""

from __future__ import annotations

from benchmarks.costs import outdated
from benchmarks.idle import posts

from cascade_flow.dynamodb import schema
from testbed.servers import MemoryServer, Server, fresh_table


def test_the_page_is_what_is_counted(server: Server) -> None:
    assert isinstance(server, MemoryServer)
    assert outdated(server) == [], "docs/costs.md is out of date: run make docs"


def test_an_idle_engine_costs_less_than_half_a_dollar_a_month(server: Server) -> None:
    """What watches it (alarms, a dashboard) left out: each can be."""
    with fresh_table(server, schema.create_table) as store:
        found = {post.what: post.dollars for post in posts(store)}
    assert sum(found.values()) - found["alarms"] - found["dashboards"] < 0.5
