"""Every operation of the contract has its price, and none costs more."""

from __future__ import annotations

import pytest

from budgets.counting import counted
from budgets.figures import Figure
from budgets.operations import cases
from specification import Operation, operations
from testbed.servers import MemoryServer, Server


def test_the_table_has_every_operation_in_the_order_of_the_specification() -> None:
    assert list(dict.fromkeys(case.operation for case in cases())) == [operation.name for operation in operations()]


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
def test_each_driver_that_an_operation_is_for_has_a_price(operation: Operation) -> None:
    drivers = {case.driver for case in cases() if case.operation == operation.name}
    if operation.is_refused:
        assert drivers == {"caller"}
    elif operation.name.startswith("save_step_"):
        assert drivers == {"engine", "caller"}


def test_no_operation_costs_more_than_its_budget(server: Server, figures: list[Figure]) -> None:
    assert isinstance(server, MemoryServer), "elsewhere nobody can take back what was written"
    above = {str(case): figure.exceeded for case, figure in counted(server) if figure.exceeded}
    assert not above
