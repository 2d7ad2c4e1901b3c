"""What children may cost (issue 13), and that it stays so however many there are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from budgets.children import FAMILIES, RUN, carried, end_while_failing, writes_of
from budgets.figures import Figure
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.items import size_of
from testbed.servers import Store


@pytest.mark.parametrize("measure", FAMILIES, ids=lambda measure: measure.__name__)
def test_a_child_costs_no_more_than_its_budget(
    dynamodb: Store, measure: Callable[[Store], Figure], figures: list[Figure]
) -> None:
    figure = measure(dynamodb)
    figures.append(figure)
    assert not figure.exceeded


def test_a_wide_map_keeps_its_parent_small_and_quiet(dynamodb: Store) -> None:
    with carried(dynamodb, 120, concurrency=30) as (world, spent):
        for item in world.observer.runtime.ledger.table.query(keys.branches(RUN)):
            assert size_of(item) < 1_024
        assert writes_of(RUN, spent) <= 1.2 * world.items


def test_who_ends_while_its_map_fails_leaves_the_others_to_themselves(dynamodb: Store) -> None:
    assert end_while_failing(dynamodb, 24) <= 13
