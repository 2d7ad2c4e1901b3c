"""How the processes of one test run share its tests: all that need the same server go to one, so that it starts once.

`pytest --numprocesses 2 --dist loadgroup`. pytest-xdist knows groups by what it writes behind a test's id, which this
pytest doesn't let it do; the server stands in the id anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

GROUPED = "by-server"
SLOWEST = "moto"


class ByServer(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out the tests server by server, and those without one module by module."""

    def __init__(self, config: pytest.Config, log: object, servers: Iterable[str]) -> None:
        super().__init__(config, log)
        longest_first = sorted(servers, key=len, reverse=True)
        self._named = re.compile(rf"[\[-]({'|'.join(longest_first)})[\]-]")

    def _assign_work_unit(self, node: object) -> None:
        """Hand out the slowest server first: what takes longest must not begin last."""
        if SLOWEST in self.workqueue:
            self.workqueue.move_to_end(SLOWEST, last=False)
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        found = self._named.search(nodeid.partition("::")[2])
        return found[1] if found else nodeid.partition("::")[0]


def is_grouped(config: pytest.Config) -> bool:
    """Whether this process, one of several, has all tests of the servers that it has any of."""
    return bool(getattr(config, "workerinput", {}).get(GROUPED))
