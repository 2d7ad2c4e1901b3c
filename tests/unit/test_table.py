"""What is asked of DynamoDB, request by request: read consistently, asked once, sent again as it was."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ParamValidationError

from cascade_flow import clock
from cascade_flow.dynamodb import keys, listing
from cascade_flow.dynamodb.attribute_values import raw
from cascade_flow.dynamodb.caller_ledger import CallerLedger, CallerWrite, Moved, TimesTaken
from cascade_flow.dynamodb.family_ledger import FamilyLedger
from cascade_flow.dynamodb.items import branch_item
from cascade_flow.dynamodb.join_ledger import JoinLedger
from cascade_flow.dynamodb.keys import Key
from cascade_flow.dynamodb.table import Attr, Check, Delete, Overtaken, Put, Refused, Table, Update
from cascade_flow.engine.caller import reserved
from cascade_flow.engine.state import Branch, Up
from cascade_flow.errors import (
    BackendUnavailableError,
    CascadeFlowError,
    ConfigurationError,
    ConflictError,
    PayloadTooLargeError,
    ThrottledError,
)
from cascade_flow.model.events import StepScheduled
from simulation import BEGIN_US, TickingClock
from unit.dynamodb.stored import NEVER_S, Asked, failed, refused_with
from unit.engine.facts import NOW_US, TIMING, facts_of, step, told as event_of

HERE, THERE = Key("R#r", "B#"), Key("R#r", "B#a")
ITEM = {"pk": "R#r", "sk": "B#"}
THERE_IS = Attr("a").exists()


def cancelled(*codes: str) -> ClientError:
    told: Any = {"Error": {"Code": "TransactionCanceledException"}}
    told["CancellationReasons"] = [{"Code": code} for code in codes]
    return ClientError(told, "TransactWriteItems")


def oversized() -> ClientError:
    told: Any = {"Error": {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"}}
    reason = {"Code": "ValidationError", "Message": "Item size to update has exceeded the maximum allowed size"}
    told["CancellationReasons"] = [{"Code": "None"}, reason]
    return ClientError(told, "TransactWriteItems")


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


def test_nothing_empty_is_sent() -> None:
    """DynamoDB refuses names and values that are there and none."""
    client = Asked({"Attributes": {}})
    for write in (Put(ITEM), Put(ITEM, THERE_IS), Put(ITEM, Attr("a").eq(1))):
        client.table.write([write])
    told = [{name for name in asked if name.startswith("ExpressionAttribute")} for asked in client.requests]
    names, values = "ExpressionAttributeNames", "ExpressionAttributeValues"
    assert told == [set(), {names}, {names, values}]


def test_what_an_update_changes_is_spelled_in_the_same_way_each_time() -> None:
    client = Asked({})
    changed = Update(HERE, None, set={"a": 1}, default={"b": 2}, remove=frozenset({"d", "c", "e"}), add={"n": 3})
    client.table.write([changed])
    [asked] = client.requests
    assert asked["UpdateExpression"] == "SET #a_ = :a_, #b_ = if_not_exists(#b_, :b_) REMOVE #c_, #d_, #e_ ADD #n_ :n_"


def test_a_part_of_an_item_is_asked_for_by_name() -> None:
    client = Asked({})
    client.table.get(HERE, only=["st", "sq"])
    assert client.requests[0]["ProjectionExpression"] == "st, sq"


def test_a_page_that_is_empty_is_not_the_last() -> None:
    """An index gives such pages, and so does whatever is filtered."""
    there, empty = {"Items": [raw({**ITEM})], "Count": 1}, {"Items": list[Any](), "Count": 0}
    start = {"LastEvaluatedKey": {"pk": {"S": "R#r"}}}
    for ask in (
        lambda table: table.query(keys.branches("r")),
        lambda table: table.query_index("due", Attr("q").eq("due#1")),
    ):
        client = Asked({**empty, **start}, {**there, **start}, {**empty, **start}, there)
        assert list(ask(client.table)) == [ITEM, ITEM]
        assert [asked.get("ExclusiveStartKey") for asked in client.requests] == [None, *[{"pk": {"S": "R#r"}}] * 3]


@pytest.mark.parametrize(("left_s", "found"), [(-1, 0), (0, 0), (1, 1)])
def test_what_has_expired_is_not_there_though_the_table_has_not_taken_it_away(left_s: int, found: int) -> None:
    item = raw({**ITEM, keys.EXPIRY: BEGIN_US // 1_000_000 + left_s})
    with clock.use(TickingClock(tick_us=0)):
        assert (Asked({"Item": item}).table.get(HERE) is not None) == bool(found)
        assert len(Asked({"Responses": {"t": [item]}}).table.batch_get([HERE])) == found
        assert len(list(Asked({"Items": [item]}).table.query(keys.branches("r")))) == found


def test_what_one_batch_can_not_hold_is_asked_for_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "pause_us", lambda us: pytest.fail(f"a pause of {us} µs"))
    client = Asked({"Responses": {}})
    client.table.batch_get(Key("R#r", f"B#{number}") for number in range(201))
    assert [len(asked["RequestItems"]["t"]["Keys"]) for asked in client.requests] == [100, 100, 1]


@pytest.mark.parametrize("write", [Put(ITEM), Update(HERE, THERE_IS, set={"a": 1})], ids=["put", "update"])
def test_who_is_refused_is_told_what_is_there(write: Any) -> None:
    alone, together = Asked({"Attributes": {}}), Asked({})
    alone.table.write([write])
    together.table.write([write, Check(THERE, THERE_IS)])
    [asked], [several] = alone.requests, together.requests
    told = [asked, *(next(iter(each.values())) for each in several["TransactItems"])]
    assert [each["ReturnValuesOnConditionCheckFailure"] for each in told] == ["ALL_OLD"] * 3
    assert asked.get("ReturnValues") == ("ALL_NEW" if isinstance(write, Update) else None)


def test_a_batch_of_which_something_is_always_left_unread_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After pauses that grow, each of a length that nobody knows before."""
    pauses: list[int] = []
    monkeypatch.setattr("random.uniform", lambda least, most: most)
    monkeypatch.setattr(clock, "pause_us", pauses.append)
    unread = {"t": {"Keys": [{"pk": {"S": "R#r"}, "sk": {"S": "B#"}}]}}
    client = Asked({"Responses": {}, "UnprocessedKeys": unread})
    with pytest.raises(ThrottledError):
        client.table.batch_get([HERE])
    assert pauses == [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, *[500_000] * 5]
    assert len(client.requests) == 13


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
    "alone",
    [
        lambda table: table.write([Put({**ITEM})]),
        lambda table: table.write([Update(HERE, None, set={"a": 1})]),
        lambda table: table.write([Delete(HERE)]),
        lambda table: table.delete(HERE),
    ],
    ids=["put", "update", "delete in a transaction", "delete"],
)
def test_what_is_never_decided_is_sent_twelve_times_and_a_refusal_the_last_time_is_one(
    alone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After pauses that grow, each of a length that nobody knows before."""
    pauses: list[int] = []
    monkeypatch.setattr("random.uniform", lambda least, most: most)
    monkeypatch.setattr(clock, "pause_us", pauses.append)
    conflict = failed("TransactionConflictException")
    client = Asked(conflict)
    with pytest.raises(ConflictError):
        alone(client.table)
    assert pauses == [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, *[500_000] * 4]
    assert [asked == client.requests[0] for asked in client.requests] == [True] * 12


def test_what_is_refused_at_the_last_try_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "pause_us", lambda us: None)
    conflicts = [failed("TransactionConflictException")] * 11
    with pytest.raises(Refused):
        Asked(*conflicts, refused_with(**ITEM)).table.write([Update(HERE, THERE_IS, set={"a": 1})])


def test_whatever_else_is_in_the_way_a_false_condition_decides() -> None:
    for others in ("TransactionConflict", "ThrottlingError", "ValidationError", "None"):
        client = Asked(cancelled(others, "ConditionalCheckFailed"))
        with pytest.raises(Refused) as found:
            client.table.write([Put({**ITEM}), Delete(THERE, THERE_IS)])
        assert (found.value.items, len(client.requests)) == ({1: None}, 1)
        deleted = client.requests[0]["TransactItems"][1]["Delete"]
        assert "attribute_exists" in deleted["ConditionExpression"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (cancelled("TransactionConflict"), ConflictError),
        (cancelled("ProvisionedThroughputExceeded"), ThrottledError),
        (failed("SomethingNew", 503), BackendUnavailableError),
        (oversized(), PayloadTooLargeError),
    ],
)
def test_what_is_never_decided_is_told(error: ClientError, told: type[Exception]) -> None:
    with clock.use(TickingClock()), pytest.raises(told):
        Asked(error).table.write([Put({**ITEM}), Put({**ITEM, "sk": "B#a"})])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        *(
            (failed(code), ThrottledError)
            for code in ("ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded")
        ),
        (failed("ResourceNotFoundException"), ConfigurationError),
        (failed("AccessDeniedException"), ConfigurationError),
        (failed("ExpiredTokenException"), ConfigurationError),
        (failed("InvalidSignatureException"), ConfigurationError),
        (failed("UnrecognizedClientException"), ConfigurationError),
        (failed("ValidationException", message="Item size has exceeded the maximum"), PayloadTooLargeError),
        (failed("ValidationException", message="the size of a key must be more than 0"), CascadeFlowError),
        (failed("ValidationException", message="a number exceeds what there is"), CascadeFlowError),
        (failed("SomethingNew", 500), BackendUnavailableError),
        (failed("InternalServerError"), BackendUnavailableError),
        (failed("ServiceUnavailable"), BackendUnavailableError),
        (failed("ValidationException", message="ITEM SIZE HAS EXCEEDED THE MAXIMUM"), PayloadTooLargeError),
        (EndpointConnectionError(endpoint_url="url"), BackendUnavailableError),
        (NoCredentialsError(), ConfigurationError),
        (ParamValidationError(report="no"), CascadeFlowError),
    ],
    ids=str,
)
def test_what_is_refused_once_is_told_at_once_by_what_it_is(error: Exception, told: type[Exception]) -> None:
    """The driver has sent it again itself, where that is of any use."""
    client = Asked(error)
    with pytest.raises(CascadeFlowError) as found:
        client.table.write([Put({**ITEM})])
    assert (type(found.value), len(client.requests)) == (told, 1)
    for read in (
        lambda table: table.get(HERE),
        lambda table: table.batch_get([HERE]),
        lambda table: list(table.query(keys.branches("r"))),
        lambda table: table.delete(HERE),
    ):
        with pytest.raises(told):
            read(Asked(error).table)


def test_who_finds_what_it_has_put_itself_has_put_it() -> None:
    """The answer was lost, and the driver has asked again."""
    mine = Put({**ITEM, "x": "mine", "st": "running"}, Attr("pk").not_exists())
    assert Asked(refused_with(**ITEM, x="mine", st="ended")).table.write([mine])["st"] == "ended"
    for there in ({**ITEM, "x": "theirs"}, ITEM):
        with pytest.raises(Refused) as found:
            Asked(refused_with(**there)).table.write([mine])
        assert found.value.items == {0: there}


def test_who_is_overtaken_is_told_what_is_there() -> None:
    there = {**ITEM, "x": "mine", "st": "ended"}
    with pytest.raises(Overtaken) as found:
        Asked(refused_with(**there)).table.write([Update(HERE, THERE_IS, set={"st": "running", "x": "mine"})])
    assert found.value.items == {0: there}


def test_what_asks_or_takes_away_is_a_transaction_also_where_it_is_alone() -> None:
    for alone, kind in ((Check(HERE, Attr("st").exists()), "ConditionCheck"), (Delete(HERE), "Delete")):
        client = Asked({})
        client.table.write([alone])
        [asked] = client.requests
        assert [[*item] for item in asked["TransactItems"]] == [[kind]]


def test_a_page_has_as_many_entries_as_are_asked_for() -> None:
    client = Asked({"Items": []})
    for at_once in (None, 7):
        list(client.table.query(keys.branches("r"), at_once=at_once))
        list(client.table.query_index("due", Attr("q").eq("due#1"), at_once=at_once))
    assert [asked.get("Limit") for asked in client.requests] == [None, None, 7, 7]


@pytest.mark.parametrize(("at_most", "asked"), [(2, 1), (3, 2), (4, 2), (None, 3)])
def test_no_more_is_counted_than_is_wanted(at_most: int | None, asked: int) -> None:
    page = {"Count": 2, "LastEvaluatedKey": {"pk": {"S": "R#r"}}}
    client = Asked(page, page, {"Count": 1})
    client.table.count_index("due", Attr("q").eq("due#1"), at_most=at_most)
    assert len(client.requests) == asked


def test_what_is_to_be_done_first_is_done_once_and_again_where_it_failed() -> None:
    done: list[int] = []

    def first(table: Table) -> None:
        done.append(len(done))
        if len(done) == 1:
            raise ConflictError
        table.write([Put({**ITEM})])

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


@pytest.mark.parametrize(("offset", "entries"), [(0, 4), (5, 9), (10_000, listing._ENTRIES_AT_ONCE)])
def test_no_more_entries_are_read_at_once_than_a_page_goes_deep(offset: int, entries: int) -> None:
    client = Asked({"Items": []})
    listing.part(client.table, ["s"], listing.EVERY, limit=3, offset=offset)
    listing.part(client.table, ["s"], listing.Filter(status=("failed",)), limit=3, offset=offset)
    assert [asked["Limit"] for asked in client.requests] == [entries, listing._ENTRIES_AT_ONCE]


@pytest.mark.parametrize(("limit", "entries"), [(3, 5), (10_000, listing._ENTRIES_AT_ONCE)])
def test_what_lies_behind_a_page_is_counted_alone(limit: int, entries: int) -> None:
    client = Asked({"Items": []}, {"Count": 7})
    assert listing.page(client.table, ["s"], listing.EVERY, offset=2, limit=limit) == listing.Page([], 7)
    read, counted = client.requests
    assert (read["Limit"], counted["Select"]) == (entries, "COUNT")


def test_of_several_shards_no_more_are_counted_than_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_COUNTED", 3)
    client = Asked({"Count": 3}, {"Count": 1, "LastEvaluatedKey": {"pk": {"S": "R#r"}}}, {"Count": 1})
    assert listing.count(client.table, ["s", "t"], listing.EVERY) == listing.Count(3, False)
    assert len(client.requests) == 2


def test_who_arrives_last_brings_the_look_forward_and_asks_for_nothing_back() -> None:
    facts, soon_us = facts_of(step("a"), step("b"), step("j", "a", "b")), NOW_US + TIMING.grace_us
    cases = ((1, soon_us + 1, False, 1), (2, soon_us, True, 1), (2, None, True, 1), (2, soon_us + 1, True, 2))
    for arrived, due_us, is_full, requests in cases:
        join = Branch("j", "open", "j", arrived=arrived, due_us=due_us)
        client = Asked({"Attributes": raw(branch_item("run", join, expires_s=facts.expires_s))}, {})
        assert JoinLedger(client.table).raise_join(facts, "j", arrivals=1, now_us=NOW_US) is is_full
        assert len(client.requests) == requests
        assert not [name for asked in client.requests[1:] for name in asked if name.startswith("Return")]
    assert not JoinLedger(Asked(refused_with(**ITEM)).table).raise_join(facts, "j", arrivals=1, now_us=NOW_US)


def test_a_look_that_another_has_moved_since_is_not_brought_forward() -> None:
    facts, soon_us = facts_of(step("a"), step("b"), step("j", "a", "b")), NOW_US + TIMING.grace_us
    full = Branch("j", "open", "j", arrived=2, due_us=soon_us + 7)
    there = {"Attributes": raw(branch_item("run", full, expires_s=facts.expires_s))}
    client = Asked(there, failed("ConditionalCheckFailedException"))
    assert JoinLedger(client.table).raise_join(facts, "j", arrivals=1, now_us=NOW_US)
    moved = client.requests[1]
    assert (moved["Key"]["sk"], moved["ConditionExpression"]) == ({"S": "B#j"}, "#n0 = :v0")
    assert moved["ExpressionAttributeNames"] == {"#n0": "due", "#due_": "due"}
    assert moved["ExpressionAttributeValues"] == {":v0": {"N": str(soon_us + 7)}, ":due_": {"N": str(soon_us)}}


def test_who_asks_another_to_look_asks_for_nothing_back() -> None:
    client = Asked({})
    JoinLedger(client.table).ask_to_look("run", Branch("a", "running", "b", seq=4))
    [asked] = client.requests
    assert not [name for name in asked if name.startswith("Return")]
    assert (asked["Key"]["sk"], asked["ConditionExpression"]) == ({"S": "B#a"}, "#n0 = :v0")
    assert asked["ExpressionAttributeValues"] == {":v0": {"N": "4"}, ":lo_": {"N": "1"}}


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        (("ConditionalCheckFailed", "None"), Moved),
        (("None", "ConditionalCheckFailed"), TimesTaken),
        (("ConditionalCheckFailed", "ConditionalCheckFailed"), Moved),
    ],
)
def test_whose_run_has_moved_is_told_so_whatever_else_is_in_the_way(codes: Any, told: type[Exception]) -> None:
    run = reserved("flow", "run", now_us=NOW_US, longest_us=10, retention_us=20)
    said: Any = {"step_id": "a", "attempt_number": 1, "available_at_us": 1, "reason": "initial"}
    telling = CallerWrite("run", (run, run), events=(event_of(StepScheduled, NOW_US, **said),))
    assert telling.size == 2
    assert CallerWrite("run", (run, run), {"a": (None, None)}, telling.events * 2, (1, 2, 3)).size == 7
    with pytest.raises(told):
        CallerLedger(Asked(cancelled(*codes)).table).write(telling, {})


def test_of_a_run_that_stays_as_it_is_no_more_is_asked_than_that_it_is_a_callers() -> None:
    run, client = reserved("flow", "run", now_us=NOW_US, longest_us=10, retention_us=20), Asked({})
    CallerLedger(client.table).write(CallerWrite("run", (run, run), {"a": (None, None)}), {})
    check = client.requests[0]["TransactItems"][0]["ConditionCheck"]
    assert {"S": run.status} not in check["ExpressionAttributeValues"].values()


@pytest.mark.parametrize(
    ("now", "requests"),
    [
        (Branch("a", "running", "m"), 1),
        (Branch("a", "waiting", "m", halt="stop"), 1),
        (Branch("a", "waiting", "m", due_us=NOW_US), 2),
    ],
)
def test_a_childs_end_is_counted_where_somebody_waits_for_it_or_given_up_at_once(now: Branch, requests: int) -> None:
    client = Asked(failed("ConditionalCheckFailedException", Item=raw(branch_item("run", now, expires_s=NEVER_S))))
    up = Up("run", "a", "m", 0, is_item=True)
    assert FamilyLedger(client.table).raise_parent(up, look_us=NOW_US) is not None
    assert len(client.requests) == requests
