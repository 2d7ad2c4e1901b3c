"""A queue of SQS in this process, as its client sees it: whoever makes it is handed each message that it takes.

What SQS refuses as a whole is refused here by an AssertionError, since who sends it has a fault that no retry mends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cascade_flow.testing.memory.direct_client import Call, DirectClient, Told

SEND = "SendMessageBatch"
LARGEST_BATCH = 10
LONGEST_DELAY_S = 900
Arrived = Callable[[str, int], None]
"""Takes a message's body, and after how many seconds it is delivered."""


class QueueClient(DirectClient):
    """What the engine uses of a client of SQS."""

    service = "sqs"
    tries = 3

    def __init__(self, arrived: Arrived) -> None:
        super().__init__(self._serve)
        self._arrived = arrived

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return self.ask(SEND, QueueUrl=QueueUrl, Entries=Entries)

    def _serve(self, request: Call) -> Told:
        entries = request.body["Entries"]
        _must_be_taken(entries)
        for entry in entries:
            self._arrived(entry["MessageBody"], entry.get("DelaySeconds", 0))
        return Told(200, {"Successful": [{"Id": entry["Id"]} for entry in entries]})


def _must_be_taken(entries: Sequence[Mapping[str, Any]]) -> None:
    assert 1 <= len(entries) <= LARGEST_BATCH, f"a batch of {len(entries)} messages"
    assert len({entry["Id"] for entry in entries}) == len(entries), f"two messages of one id: {entries}"
    delays = [entry.get("DelaySeconds", 0) for entry in entries]
    assert all(type(delay) is int and 0 <= delay <= LONGEST_DELAY_S for delay in delays), f"such delays: {delays}"
