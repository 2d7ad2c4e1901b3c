"""Dead letters go back as they came, and a queue that may not be looked at is a matter of set-up."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_flow.aws.failures import Failure, NoCredentials, NotReached, ServiceError
from cascade_flow.dead_letters import SqsDeadLetters
from cascade_flow.errors import BackendUnavailableError, CascadeFlowError, ConfigurationError
from cascade_flow.wake import Wake

WAKE = Wake("run", "a", "b", 2, told="sealed")


class Client:
    """A queue that holds one message until it is deleted."""

    def __init__(self, error: Failure | None = None) -> None:
        self.sent: list[Any] = []
        self._messages = [{"MessageId": "1", "ReceiptHandle": "r", "Body": WAKE.to_message()}]
        self._error = error

    def receive_message(self, **_: object) -> Any:
        if self._error:
            raise self._error
        return {"Messages": self._messages}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Any:
        self.sent += [(QueueUrl, entry["MessageBody"]) for entry in Entries]
        return {"Successful": Entries}

    def delete_message_batch(self, **_: object) -> Any:
        self._messages = []


def test_a_wake_up_goes_back_with_what_it_tells_its_worker() -> None:
    client = Client()
    assert SqsDeadLetters("dead", "queue", client=client).send_again(1, until_us=0) == 1
    assert client.sent == [("queue", WAKE.to_message())]


def refused(code: str) -> ServiceError:
    return ServiceError({"Error": {"Code": code}}, "ReceiveMessage")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (refused("AccessDenied"), ConfigurationError),
        (refused("AccessDeniedException"), ConfigurationError),
        (refused("AWS.SimpleQueueService.NonExistentQueue"), ConfigurationError),
        (NoCredentials(), ConfigurationError),
        (refused("InternalError"), BackendUnavailableError),
        (NotReached(), BackendUnavailableError),
    ],
    ids=str,
)
def test_why_they_cannot_be_reached_is_told(error: Failure, told: type[CascadeFlowError]) -> None:
    with pytest.raises(told, match="dead letters"):
        SqsDeadLetters("dead", "queue", client=Client(error)).send_again(1, until_us=0)
