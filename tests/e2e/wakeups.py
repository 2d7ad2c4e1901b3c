"""The stack's queues in the hands of somebody who sends too much, loses everything, or lets nobody listen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cascade_flow.wake import Wake
from e2e.waiting import until

_COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed")


class WakeUps:
    """`sqs` and `lambda_` are clients; `listener` is the function that both queues trigger."""

    def __init__(
        self, sqs: Any, lambda_: Any, *, queue_url: str, urgent_url: str, dead_letters_url: str, listener: str
    ) -> None:
        self._sqs = sqs
        self._lambda = lambda_
        self._queue_url = queue_url
        self._urgent_url = urgent_url
        self._dead_letters_url = dead_letters_url
        self._listener = listener

    def send(self, wake: Wake, *, times: int = 1) -> None:
        url = self._urgent_url if wake.urgent else self._queue_url
        for _ in range(times):
            self._sqs.send_message(QueueUrl=url, MessageBody=wake.to_message())

    def bury(self, wake: Wake) -> None:
        """Leave a wake-up where those are that were tried in vain."""
        self._sqs.send_message(QueueUrl=self._dead_letters_url, MessageBody=wake.to_message())

    def waiting(self) -> int:
        """The messages that nobody has taken yet, delayed ones too."""
        return self._count(self._queue_url) + self._count(self._urgent_url)

    def dead(self) -> int:
        """The messages that were tried in vain again and again."""
        return self._count(self._dead_letters_url)

    def all_taken(self) -> None:
        """Return once nothing waits in the queues."""
        until(lambda: self.waiting() == 0, otherwise=lambda: f"{self.waiting()} messages are in the queues")

    def lose(self) -> None:
        """Lose whatever waits in the queues."""
        for url in (self._queue_url, self._urgent_url):
            self._sqs.purge_queue(QueueUrl=url)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Let no worker be woken inside the block."""
        self._hear(False)
        try:
            yield
        finally:
            self._hear(True)

    def _count(self, queue_url: str) -> int:
        given = self._sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=list(_COUNTS))["Attributes"]
        return sum(int(given[name]) for name in _COUNTS)

    def _hear(self, enabled: bool) -> None:
        sources = self._lambda.list_event_source_mappings(FunctionName=self._listener)["EventSourceMappings"]
        for source in sources:
            self._lambda.update_event_source_mapping(UUID=source["UUID"], Enabled=enabled)
