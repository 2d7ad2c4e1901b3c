"""docs/costs.md says what is true: what is counted, and what the template holds, times list prices."""

from __future__ import annotations

from benchmarks.costs import outdated
from benchmarks.idle import URGENT, posts

from cascade_flow.dynamodb import schema
from infra.written import ROOT
from testbed.servers import MemoryServer, Server, fresh_table


def test_the_page_is_what_is_counted(server: Server) -> None:
    assert isinstance(server, MemoryServer)
    assert outdated(server) == [], "docs/costs.md is out of date: run make docs"


def test_the_readme_says_it_to_the_cent(server: Server) -> None:
    with fresh_table(server, schema.create_table) as store:
        found = posts(store)
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    all_of_it = sum(post.dollars for post in found)
    first = sum(post.dollars_of_the_first for post in found)
    assert f"An idle month costs ${all_of_it:.2f}, " in text
    assert f" ${first:.2f} where AWS's free tier covers these" in text


def test_an_idle_engine_costs_less_than_half_a_dollar_a_month(server: Server) -> None:
    """What can be left out left out: what watches it (alarms, a dashboard), and the queue for urgent runs."""
    with fresh_table(server, schema.create_table) as store:
        found = {post.what: post.dollars for post in posts(store)}
    optional = {what: found.pop(what) for what in ("alarms", "dashboards", URGENT)}
    assert sum(found.values()) < 0.5
    assert optional[URGENT] < 0.26
