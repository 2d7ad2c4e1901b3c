"""A table in memory, what lies in it, and clients that note what they are asked."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.attribute_values import raw
from cascade_flow.dynamodb.items import Item, branch_item, run_item
from cascade_flow.dynamodb.schema import create_table
from cascade_flow.dynamodb.table import NONCE, Put, Table
from cascade_flow.engine.state import Branch, Run
from cascade_flow.testing.memory.table_client import MemoryClient
from cascade_flow.testing.memory.tables import Memory

NEVER_S = 2**40
"""When what lies there expires."""


def put(table: Table, *things: Item | Run | Branch | None) -> None:
    """All of it lies there now, a branch as one of the run `run`."""
    for thing in things:
        if isinstance(thing, Run):
            table.write([Put(run_item(thing))])
        elif isinstance(thing, Branch):
            table.write([Put(branch_item("run", thing, expires_s=NEVER_S))])
        elif thing is not None:
            table.write([Put({**thing})])


class Counting:
    """A client of a table of its own that notes each request; `page` entries make a page where that is said."""

    def __init__(self, *, page: int | None = None) -> None:
        self._client, self._page = MemoryClient(Memory()), page
        create_table(self._client, "t")
        self.asked: list[dict[str, Any]] = []
        self.table = Table(self, "t")

    def __getattr__(self, operation: str) -> Any:
        def ask(**request: Any) -> Any:
            self.asked.append(request)
            if operation == "query" and self._page is not None:
                request = {**request, "Limit": self._page}
            return getattr(self._client, operation)(**request)

        return ask

    def holding(self, *things: Item | Run | Branch) -> Table:
        """The table with these in it; that they were put there is not noted."""
        put(self.table, *things)
        self.asked.clear()
        return self.table

    def stored(self, key: keys.Key) -> Item | None:
        """What lies there, but for its key and its writer's nonce."""
        item = Table(self._client, "t").get(key)
        left_out = (keys.PARTITION, keys.SORT, NONCE)
        return None if item is None else {name: value for name, value in item.items() if name not in left_out}


def failed(code: str, status: int = 400, message: str = "", **more: Any) -> ClientError:
    told: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(told, "PutItem")


class Asked:
    """A client that notes what it is asked, and gives these answers one after the other; the last of them for ever."""

    def __init__(self, *answers: Any) -> None:
        self.requests: list[dict[str, Any]] = []
        self._answers = [*answers]

    def __getattr__(self, operation: str) -> Any:
        return self._asked

    def _asked(self, **request: Any) -> Any:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def table(self) -> Table:
        return Table(self, "t")


def refused_with(**item: Any) -> ClientError:
    """By a condition, where this lies."""
    return failed("ConditionalCheckFailedException", Item=raw(item))


def lost(**item: Any) -> Asked:
    """The client of who has written this and heard no answer: it has asked again, and is refused."""
    return Asked(refused_with(**item))
