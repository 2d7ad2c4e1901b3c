"""What is asked of DynamoDB, request by request: read consistently, asked once, sent again as it was."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from cascade_flow import clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.keys import Key
from cascade_flow.dynamodb.table import Attr, Check, Put, Table, Update
from cascade_flow.errors import BackendUnavailableError, ConflictError, ThrottledError
from simulation import TickingClock

HERE, THERE = Key("R#r", "B#"), Key("R#r", "B#a")
ITEM = {"pk": "R#r", "sk": "B#"}


def cancelled(*codes: str) -> ClientError:
    told: Any = {"Error": {"Code": "TransactionCanceledException"}}
    told["CancellationReasons"] = [{"Code": code} for code in codes]
    return ClientError(told, "TransactWriteItems")


def failed(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutItem")  # type: ignore[typeddict-item]


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


def test_items_are_read_consistently() -> None:
    client = Asked({}, {"Items": []}, {"Responses": {}})
    client.table.get(HERE)
    list(client.table.query(keys.branches("r")))
    client.table.batch_get([HERE])
    get, query, batch = client.requests
    assert [get["ConsistentRead"], query["ConsistentRead"]] == [True, True]
    assert batch["RequestItems"]["t"]["ConsistentRead"] is True


def test_who_names_an_item_twice_asks_for_it_once() -> None:
    """DynamoDB refuses a batch that does not."""
    client = Asked({"Responses": {}})
    client.table.batch_get([HERE, THERE, HERE])
    [asked] = client.requests
    assert [key["sk"]["S"] for key in asked["RequestItems"]["t"]["Keys"]] == ["B#", "B#a"]


def test_what_a_batch_leaves_unread_is_asked_for_with_the_next_one() -> None:
    unread = {"t": {"Keys": [{"pk": {"S": "R#r"}, "sk": {"S": "B#7"}}]}}
    client = Asked({"Responses": {}, "UnprocessedKeys": unread}, {"Responses": {}})
    with clock.use(TickingClock()):
        client.table.batch_get(Key("R#r", f"B#{number}") for number in range(101))
    _, again = client.requests
    assert [key["sk"]["S"] for key in again["RequestItems"]["t"]["Keys"]] == ["B#7", "B#100"]


def test_a_batch_of_which_something_is_always_left_unread_is_given_up() -> None:
    unread = {"t": {"Keys": [{"pk": {"S": "R#r"}, "sk": {"S": "B#"}}]}}
    with clock.use(TickingClock()), pytest.raises(ThrottledError):
        Asked({"Responses": {}, "UnprocessedKeys": unread}).table.batch_get([HERE])


@pytest.mark.parametrize(
    "undecided",
    [
        cancelled("None", "TransactionConflict"),
        cancelled("ThrottlingError", "None"),
        cancelled("ProvisionedThroughputExceeded", "None"),
        failed("TransactionInProgressException"),
    ],
    ids=lambda error: str(error.response.get("CancellationReasons", "in progress")),
)
def test_a_transaction_that_is_not_decided_is_sent_again_as_it_was(undecided: ClientError) -> None:
    client = Asked(undecided, {})
    with clock.use(TickingClock()):
        client.table.write([Put({**ITEM}), Check(THERE, Attr("st").exists())])
    first, again = client.requests
    assert first == again
    assert first["ClientRequestToken"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (cancelled("TransactionConflict"), ConflictError),
        (cancelled("ProvisionedThroughputExceeded"), ThrottledError),
        (failed("SomethingNew", 503), BackendUnavailableError),
    ],
)
def test_what_is_never_decided_is_told(error: ClientError, told: type[Exception]) -> None:
    with clock.use(TickingClock()), pytest.raises(told):
        Asked(error).table.write([Put({**ITEM}), Put({**ITEM, "sk": "B#a"})])


def test_what_is_to_be_done_first_is_done_once_and_again_where_it_failed() -> None:
    done: list[int] = []

    def first(table: Table) -> None:
        done.append(len(done))
        if len(done) == 1:
            raise ConflictError

    table = Table(Asked({}), "t", first=first)
    with pytest.raises(ConflictError):
        table.write([Put({**ITEM})])
    for _ in range(2):
        table.write([Put({**ITEM})])
    assert done == [0, 1]


def test_who_writes_blindly_asks_for_nothing_back() -> None:
    client = Asked({})
    client.table.write([Update(HERE, Attr("due").eq(1), set={"due": 2}, blind=True)])
    [asked] = client.requests
    assert not [name for name in asked if name.startswith("Return")]


@pytest.mark.parametrize(
    ("now", "overtaken"),
    [
        ({"st": "running", "x": "1"}, False),
        ({"st": "running", "x": "1", "due": 9, "q": "due#1", "other": 1}, False),
        ({"st": "ended", "x": "1"}, True),
        ({"x": "1"}, True),
        ({"st": "running", "x": "1", "h": "stop"}, True),
    ],
)
def test_a_write_is_overtaken_where_others_have_changed_what_it_has_set_or_removed(
    now: dict[str, Any], overtaken: bool
) -> None:
    """Its place in the due index is anybody's to move."""
    written = Update(HERE, None, set={"st": "running", "x": "1", "due": 5}, remove=frozenset({"h", "q"}))
    assert written.is_overtaken(now) is overtaken
