"""Nothing costs more than its budget (design.md §5)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from budgets.figures import Figure
from budgets.growth import cost_of_looking, trends
from budgets.measures import MEASURES, fan_in, measured
from budgets.waiting import WAITS
from testbed.servers import CreateTable, Server, Store, fresh_table


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.__name__)
def test_a_thing_costs_no_more_than_its_budget(
    server: Server, measure: Callable[[Store], Figure], figures: list[Figure]
) -> None:
    figure = measured(server, measure)
    figures.append(figure)
    assert not figure.exceeded


@pytest.mark.parametrize("measure", WAITS, ids=lambda measure: measure.__name__)
def test_a_wait_costs_no_more_than_its_budget(
    server: Server, measure: Callable[[Store], Figure], figures: list[Figure]
) -> None:
    figure = measured(server, measure)
    figures.append(figure)
    assert not figure.exceeded


@pytest.mark.slow
def test_a_thousand_parallel_steps_meet_without_a_storm(dynamodb: Store, figures: list[Figure]) -> None:
    figure = fan_in(dynamodb, width=1_000)
    figures.append(figure)
    assert not figure.exceeded


def test_what_is_finished_costs_nothing_to_those_who_look(server: Server, table_creator: CreateTable) -> None:
    with fresh_table(server, table_creator) as little, fresh_table(server, table_creator) as much:
        costs = {100: cost_of_looking(little, stored=100), 2_000: cost_of_looking(much, stored=2_000)}
    found = trends(costs)
    assert not {trend.what: trend.spent for trend in found if trend.is_exceeded}
    [total] = [trend for trend in found if not trend.is_promised]
    assert total.growth > 0, "what counts 2,000 runs is dearer than what counts 100: is anything stored at all?"
