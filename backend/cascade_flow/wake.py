"""Wakes a worker for what is due: messages in SQS, which are hints and never the truth.

A lost message costs delay (the sweep sends another), a duplicate costs one failed condition. So a queue that can't be
reached is reported in the log and otherwise left to the sweep: what was committed stays committed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import field
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from cascade_flow import clock
from cascade_flow.aws.failures import Failure, asked
from cascade_flow.aws.opening import open_client
from cascade_flow.engine.state import LONGEST_DELAY_US
from cascade_flow.records import dataclass
from cascade_flow.seal import Seal

_BATCH = 10
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True)
class Wake:
    """Says where to look: at a run that is to be started (no branch), or at a branch and what is scheduled there.

    `limit` is what the step must get first (as its branch has it), so that who is woken need not ask. `told` is what
    else it needs not read (`operations.told`), sealed.
    """

    run_id: str
    branch: str = ""
    step: str = ""
    attempt: int = 0
    available_at_us: int = 0
    limit: str = ""
    urgent: bool = False
    told: str = field(default="", compare=False, repr=False)

    def to_message(self) -> str:
        place = {"runId": self.run_id, "branch": self.branch, "step": self.step, "attempt": self.attempt}
        limit = {"limit": self.limit} if self.limit else {}
        told = {"told": self.told} if self.told else {}
        return json.dumps(place | ({"urgent": True} if self.urgent else {}) | limit | told)

    @classmethod
    def from_message(cls, body: str) -> Wake:
        """Raises ValueError for what is no wake-up."""
        try:
            data = json.loads(body)
            place = str(data["runId"]), str(data["branch"]), str(data["step"]), int(data["attempt"])
            limit, told = str(data.get("limit", "")), str(data.get("told", ""))
            return cls(*place, urgent=bool(data.get("urgent")), limit=limit, told=told)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"this message is no wake-up: {error}") from error


class Queue(Protocol):
    """Takes wake-ups; losing one is allowed. Without a `seal` they say only where to look."""

    @property
    def seal(self) -> Seal | None: ...

    def send(self, wakes: Sequence[Wake]) -> None: ...


@dataclass(frozen=True)
class Addresses:
    """Of the queue, and of the one for what is urgent, where there is one."""

    usual: str
    urgent: str | None = None

    def shares(self, messages: Sequence[_T], is_urgent: Callable[[_T], bool]) -> dict[str, list[_T]]:
        """What goes to which, the urgent first."""
        urgent = self.urgent or self.usual
        shares: dict[str, list[_T]] = {urgent: [], self.usual: []}
        for message in messages:
            shares[urgent if is_urgent(message) else self.usual].append(message)
        return shares


class SqsQueue:
    """Queues in SQS. What is due beyond SQS's 15 minutes is not sent: the due index holds it."""

    def __init__(
        self, queue_url: str, *, urgent_url: str | None = None, client: Any = None, seal: Seal | None = None
    ) -> None:
        self.seal = seal
        self._addresses = Addresses(queue_url, urgent_url)
        self._client: Any = client or open_client("sqs")

    def send(self, wakes: Sequence[Wake]) -> None:
        now_us = clock.now_us()
        near = [wake for wake in wakes if wake.available_at_us - now_us <= LONGEST_DELAY_US]
        for url, mine in self._addresses.shares(near, attrgetter("urgent")).items():
            for start in range(0, len(mine), _BATCH):
                self._send_batch(url, [_entry(n, wake, now_us) for n, wake in enumerate(mine[start : start + _BATCH])])

    def _send_batch(self, url: str, entries: list[dict[str, Any]]) -> None:
        try:
            answer = asked(lambda: self._client.send_message_batch(QueueUrl=url, Entries=entries))
            failed = answer.get("Failed", [])
        except Failure as error:
            failed = [str(error)]
        if failed:
            _log.warning("wake-ups were not sent, the sweep will send them again: %s", failed)


class NoQueue:
    """For a backend without a queue: whoever works finds what is due by asking for it."""

    seal = None

    def send(self, wakes: Sequence[Wake]) -> None:
        _log.debug("%d wake-ups, and no queue to send them to", len(wakes))


def _entry(number: int, wake: Wake, now_us: int) -> dict[str, Any]:
    delay_s = max(0, -(-(wake.available_at_us - now_us) // 1_000_000))
    return {"Id": str(number), "MessageBody": wake.to_message(), "DelaySeconds": delay_s}
