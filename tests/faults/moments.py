"""What happens between two requests of somebody: others act while one who has read, and not yet written, pauses."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from botocore.exceptions import ConnectionClosedError

from cascade_flow import DynamoDBBackend
from simulation import World
from testbed.wire import Answer, Floor, Request, Send, wire_of


def pausing(world: World, operation: str | None, others: Callable[[], object], *, at: int = 1) -> DynamoDBBackend:
    """A backend of another process, which pauses once, before its request number `at` (of this operation, where one is
    named); meanwhile the others act.
    """
    client, numbers = world.store.another_client(), count(1)

    def pause(request: Request, send: Send) -> Answer:
        if operation in (None, request.operation) and next(numbers) == at:
            others()
        return send(request)

    wire_of(client).add(pause, floor=Floor.SCHEDULE)
    return world.another(client)


def unanswered(world: World, operation: str, others: Callable[[], object]) -> DynamoDBBackend:
    """A backend of another process, whose first request of this operation is done, and its answer lost; before it asks
    again, the others act.
    """
    client, numbers = world.store.another_client(), count(1)

    def lose(request: Request, send: Send) -> Answer:
        answer = send(request)
        if request.operation == operation and next(numbers) == 1:
            others()
            raise ConnectionClosedError(endpoint_url=request.service)
        return answer

    wire_of(client).add(lose, floor=Floor.SCHEDULE)
    return world.another(client)
