"""docs/contract.md says what is true: where each operation lives, what it costs, which tests call it."""

from __future__ import annotations

from benchmarks.contract import PATH, page
from benchmarks.coverage import calling, contract_tests

from specification import operations
from testbed.servers import MemoryServer, Server


def test_the_page_is_what_the_code_says(server: Server) -> None:
    assert isinstance(server, MemoryServer), "elsewhere nobody can take back what was written"
    written, true = PATH.read_text(encoding="utf-8").splitlines(), page(server).splitlines()
    assert [line for line in true if line not in written] == [], "docs/contract.md is out of date: run make docs"
    assert written == true, "docs/contract.md is out of date: run make docs"


def test_every_operation_has_a_test() -> None:
    names = [operation.name for operation in operations()]
    tests = contract_tests(frozenset(names))
    assert not [name for name in names if not calling(name, tests)]
