"""The queue's dead letters: messages that no worker could take, again and again. SQS keeps them for a while.

Nothing waits for one of them, since whoever was lost is found by the sweep: they tell that something is wrong. To look
at them changes nothing; to send them again puts each back into the queue before it is deleted here, so that one may be
there twice, and none is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from cascade_flow import clock
from cascade_flow.aws.failures import Failure, NoCredentials, ServiceError, asked
from cascade_flow.aws.opening import open_client
from cascade_flow.errors import BackendUnavailableError, CascadeFlowError, ConfigurationError
from cascade_flow.records import dataclass, replace
from cascade_flow.wake import Addresses, Wake

_BATCH = 10
_HIDDEN_S = 30
"""For how long nobody else sees what is being looked at, should whoever looks die."""
_WAIT_S = 1
"""SQS asks all of its servers where it may wait, and only some of them otherwise."""
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AWS.SimpleQueueService.NonExistentQueue"})
_T = TypeVar("_T")


@dataclass(frozen=True)
class DeadLetter:
    """A message as it lies there; `receipt` is for who has it in hand."""

    message_id: str
    receipt: str
    body: str
    sent_us: int
    received: int

    @property
    def wake(self) -> Wake | None:
        """The wake-up that it is, if it is one."""
        try:
            return Wake.from_message(self.body)
        except ValueError:
            return None

    @property
    def shown(self) -> str:
        """The message as people see it: without what a wake-up tells its worker, which is a run's data."""
        wake = self.wake
        return self.body if wake is None or not wake.told else replace(wake, told="").to_message()

    @property
    def urgent(self) -> bool:
        """Whether it came from the queue for what is urgent."""
        return self.wake is not None and self.wake.urgent


class DeadLetters(Protocol):
    """Where messages lie that nobody could take."""

    def count(self) -> int:
        """About how many there are."""
        ...

    def look(self, limit: int) -> list[DeadLetter]:
        """Some of them, each once; all of them stay where they are."""
        ...

    def send_again(self, limit: int, until_us: int) -> int:
        """Put some of them back into the queue; how many."""
        ...


class NoDeadLetters:
    """For an engine without such a queue, or one that was not told of it."""

    def count(self) -> int:
        return 0

    def look(self, limit: int) -> list[DeadLetter]:
        return []

    def send_again(self, limit: int, until_us: int) -> int:
        return 0


class SqsDeadLetters:
    """A queue in SQS, and those that its messages came from. Raises BackendUnavailableError, ConfigurationError."""

    def __init__(self, url: str, queue_url: str, *, urgent_url: str | None = None, client: Any = None) -> None:
        self._url = url
        self._addresses = Addresses(queue_url, urgent_url)
        self._client: Any = client or open_client("sqs")

    def count(self) -> int:
        wanted = "ApproximateNumberOfMessages"
        answer = _told(partial(self._client.get_queue_attributes, QueueUrl=self._url, AttributeNames=[wanted]))
        return int(answer["Attributes"][wanted])

    def look(self, limit: int) -> list[DeadLetter]:
        found: dict[str, DeadLetter] = {}
        try:
            for letters in self._received(limit):
                found |= {letter.message_id: letter for letter in letters}
        finally:
            self._show(list(found.values()))
        return list(islice(found.values(), limit))

    def send_again(self, limit: int, until_us: int) -> int:
        done = 0
        for letters in self._received(limit):
            done += self._delete(self._sent(letters))
            if clock.now_us() >= until_us:
                break
        return done

    def _received(self, limit: int) -> Iterator[list[DeadLetter]]:
        """So many, some at a time; they are hidden from everybody else for a while."""
        wish = {"QueueUrl": self._url, "VisibilityTimeout": _HIDDEN_S, "WaitTimeSeconds": _WAIT_S}
        told = ["SentTimestamp", "ApproximateReceiveCount"]
        while limit > 0:
            ask = {**wish, "MaxNumberOfMessages": min(limit, _BATCH), "MessageSystemAttributeNames": told}
            messages = _told(partial(self._client.receive_message, **ask)).get("Messages", [])
            if not messages:
                return
            limit -= len(messages)
            yield [_letter(message) for message in messages]

    def _sent(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Those that were sent, each to the queue that it came from."""
        shares = self._addresses.shares(letters, attrgetter("urgent")).items()
        return [letter for url, mine in shares if mine for letter in self._sent_to(url, mine)]

    def _sent_to(self, url: str, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        entries = [{"Id": str(n), "MessageBody": letter.body} for n, letter in enumerate(letters)]
        answer = _told(partial(self._client.send_message_batch, QueueUrl=url, Entries=entries))
        return [letters[int(sent["Id"])] for sent in answer.get("Successful", [])]

    def _delete(self, letters: Sequence[DeadLetter]) -> int:
        """How many were sent: one that could not be deleted is sent once more, some time."""
        entries = [{"Id": str(n), "ReceiptHandle": letter.receipt} for n, letter in enumerate(letters)]
        if entries:
            _told(partial(self._client.delete_message_batch, QueueUrl=self._url, Entries=entries))
        return len(letters)

    def _show(self, letters: Sequence[DeadLetter]) -> None:
        """Let everybody see them again at once."""
        for start in range(0, len(letters), _BATCH):
            entries = [
                {"Id": str(n), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                for n, letter in enumerate(letters[start : start + _BATCH])
            ]
            _told(partial(self._client.change_message_visibility_batch, QueueUrl=self._url, Entries=entries))


def _letter(message: dict[str, Any]) -> DeadLetter:
    told = message.get("Attributes", {})
    return DeadLetter(
        message_id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        sent_us=int(told.get("SentTimestamp", 0)) * 1_000,
        received=int(told.get("ApproximateReceiveCount", 0)),
    )


def _told(ask: Callable[[], _T]) -> _T:
    try:
        return asked(ask)
    except Failure as error:
        raise _translated(error) from error


def _translated(error: Failure) -> CascadeFlowError:
    if isinstance(error, NoCredentials) or (isinstance(error, ServiceError) and error.code in _DENIED):
        return ConfigurationError(f"the dead letters can't be reached: check the queue's name and the role ({error})")
    return BackendUnavailableError(f"the dead letters can't be reached ({error}): try again later")
