"""The tables of this process answer random requests as DynamoDB Local and MiniStack do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr, ConditionBase, ConditionExpressionBuilder, Key
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from cascade_flow.dynamodb.schema import create_table
from cascade_flow.testing.memory import expressions
from testbed.servers import MemoryServer, Server, Store, fresh_table
from testbed.wire import REFUSALS

Request = tuple[str, dict[str, Any]]
Tables = Mapping[str, Store]
NAMES = ("n", "s", "exp")

numbers = st.integers(-3, 12).map(lambda number: {"N": str(number)})
texts = st.sampled_from(["", "a", "ab", "b", "Ä", "𝄞", "\uffff"]).map(lambda text: {"S": text})
blobs = st.sampled_from([b"", b"a", b"\xff"]).map(lambda blob: {"B": blob})
values = st.one_of(numbers, texts, blobs)
item_keys = st.fixed_dictionaries({"pk": st.sampled_from("PQ"), "sk": st.sampled_from(["a", "b", "c", "Z", "ä"])}).map(
    lambda key: {name: {"S": text} for name, text in key.items()}
)
places = st.fixed_dictionaries(
    {}, optional={"q": st.sampled_from([{"S": "d#0"}, {"S": "d#1"}]), "due": numbers, "tags": texts}
)


def attributes() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={"n": values, "s": values, "exp": numbers})


def plain(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    return int(content) if kind == "N" else content


simple = st.one_of(
    st.sampled_from(NAMES).map(lambda name: Attr(name).exists()),
    st.sampled_from(NAMES).map(lambda name: Attr(name).not_exists()),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["eq", "ne", "lt", "lte", "gt", "gte"]), values).map(
        lambda drawn: getattr(Attr(drawn[0]), drawn[1])(plain(drawn[2]))
    ),
    st.tuples(st.sampled_from(NAMES), st.lists(values, min_size=1, max_size=3)).map(
        lambda drawn: Attr(drawn[0]).is_in([plain(value) for value in drawn[1]])
    ),
    st.tuples(st.sampled_from(NAMES), st.integers(-3, 5), st.integers(5, 9)).map(
        lambda drawn: Attr(drawn[0]).between(drawn[1], drawn[2])
    ),
)
conditions: st.SearchStrategy[ConditionBase] = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] & pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
        inner.map(lambda one: ~one),
    ),
    max_leaves=4,
)


def built(name: str, condition: ConditionBase, *, is_key: bool = False) -> dict[str, Any]:
    text, names, given_values = ConditionExpressionBuilder().build_expression(condition, is_key_condition=is_key)
    typed = {placeholder: typed_value(value) for placeholder, value in given_values.items()}
    parts = {name: text, "ExpressionAttributeNames": names, "ExpressionAttributeValues": typed}
    return {part: value for part, value in parts.items() if value}


def typed_value(value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"N": str(value)}
    return {"S": value} if isinstance(value, str) else {"B": value}


def merged(*requests: dict[str, Any]) -> dict[str, Any]:
    together: dict[str, Any] = {}
    for request in requests:
        for name, part in request.items():
            together[name] = {**together[name], **part} if isinstance(part, dict) and name in together else part
    return together


FORMS = {
    "set": ("SET", "#{0}_ = :{0}_"),
    "default": ("SET", "#{0}_ = if_not_exists(#{0}_, :{0}_)"),
    "remove": ("REMOVE", "#{0}_"),
    "add": ("ADD", "#{0}_ :{0}_"),
}


@st.composite
def update_expressions(draw: st.DrawFn) -> dict[str, Any]:
    kinds = draw(st.lists(st.sampled_from(["set", "default", "remove", "add"]), min_size=1, max_size=3, unique=True))
    names = draw(st.permutations(["n", "s", "tags"]))
    clauses: dict[str, list[str]] = {"SET": [], "REMOVE": [], "ADD": []}
    given_values: dict[str, Any] = {}
    changed = [(kind, "exp" if kind == "add" else name) for kind, name in zip(kinds, names, strict=False)]
    for kind, name in changed:
        verb, text = FORMS[kind]
        clauses[verb].append(text.format(name))
        if kind != "remove":
            given_values[f":{name}_"] = draw(numbers if kind == "add" else values)
    named = {f"#{name}_": name for _, name in changed}
    expression = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts)
    return merged(
        {"UpdateExpression": expression, "ExpressionAttributeNames": named},
        {"ExpressionAttributeValues": given_values} if given_values else {},
    )


@st.composite
def writes(draw: st.DrawFn, *, kinds: tuple[str, ...]) -> Request:
    kind, key = draw(st.sampled_from(kinds)), draw(item_keys)
    maybe = built("ConditionExpression", draw(conditions)) if kind == "ConditionCheck" or draw(st.booleans()) else {}
    back = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if draw(st.booleans()) else {}
    if kind == "Put":
        return kind, {"Item": {**key, **draw(attributes()), **draw(places)}, **maybe, **back}
    more = draw(update_expressions()) if kind == "Update" else {}
    return kind, merged({"Key": key}, maybe, more, back)


single = writes(kinds=("Put", "Update", "Delete")).map(
    lambda write: (
        {"Put": "put_item", "Update": "update_item", "Delete": "delete_item"}[write[0]],
        {**write[1], **({"ReturnValues": "ALL_NEW"} if write[0] == "Update" else {})},
    )
)


def place_of(write: Request) -> tuple[str, str]:
    key = write[1].get("Key") or write[1]["Item"]
    return key["pk"]["S"], key["sk"]["S"]


transactions = st.tuples(
    st.lists(writes(kinds=("Put", "Update", "Delete", "ConditionCheck")), min_size=1, max_size=4, unique_by=place_of),
    st.sampled_from(["one", "two"]),
).map(lambda drawn: ("transact_write_items", {"actions": drawn[0], "token": drawn[1]}))
gets = item_keys.map(lambda key: ("get_item", {"Key": key, "ConsistentRead": True}))


@st.composite
def queries(draw: st.DrawFn) -> Request:
    options: dict[str, Any] = {"ScanIndexForward": draw(st.booleans())}
    if draw(st.booleans()):
        options["Limit"] = draw(st.integers(1, 4))
    if draw(st.booleans()):
        low = draw(st.integers(-3, 5))
        where = Key("q").eq(draw(st.sampled_from(["d#0", "d#1"]))) & draw(
            st.sampled_from([Key("due").lte(low), Key("due").gt(low), Key("due").between(low, 9)])
        )
        options["IndexName"] = "due"
    else:
        where = Key("pk").eq(draw(st.sampled_from("PQ"))) & draw(
            st.sampled_from([Key("sk").between("a", "c"), Key("sk").gt("Z")])
        )
    keep = built("FilterExpression", Attr("n").gt(2)) if "IndexName" not in options else {}
    counted = {"Select": "COUNT"} if draw(st.booleans()) else {}
    return "query", merged(distinct(built("KeyConditionExpression", where, is_key=True)), keep, options, counted)


def distinct(request: dict[str, Any]) -> dict[str, Any]:
    """The same condition under placeholders that a filter does not use."""
    text = request["KeyConditionExpression"].replace("#n", "#k").replace(":v", ":k")
    names = {name.replace("#n", "#k"): value for name, value in request["ExpressionAttributeNames"].items()}
    given_values = {name.replace(":v", ":k"): value for name, value in request["ExpressionAttributeValues"].items()}
    return {
        "KeyConditionExpression": text,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": given_values,
    }


requests: st.SearchStrategy[list[Request]] = st.lists(
    st.one_of(single, single, transactions, gets, queries()), min_size=1, max_size=25
)


def tried(ask: Callable[[], Any]) -> Any:
    """An answer without what no two servers say alike; an error by its code, reasons and items."""
    try:
        return without_noise(ask())
    except REFUSALS as error:
        said: Any = error.response
        reasons = [(reason.get("Code"), reason.get("Item")) for reason in said.get("CancellationReasons", [])]
        return said["Error"]["Code"], reasons, said.get("Item")


def without_noise(answer: dict[str, Any]) -> dict[str, Any]:
    kept = {name: answer[name] for name in ("Item", "Items", "Attributes", "Count", "ScannedCount") if name in answer}
    return {**kept, "more": answer.get("LastEvaluatedKey")}


def all_pages(store: Store, request: dict[str, Any]) -> list[Any]:
    """Whether a full page tells of more where nothing comes, AWS leaves open, and servers do either."""
    pages: list[Any] = []
    start: dict[str, Any] = {}
    while True:
        page = getattr(store.client, "query")(TableName=store.table, **request, **start)  # noqa: B009
        if pages and not page["ScannedCount"]:
            pages[-1]["more"] = None
            return pages
        pages.append(without_noise(page))
        if "LastEvaluatedKey" not in page:
            return pages
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def asked(store: Store, operation: str, request: dict[str, Any]) -> Any:
    client: Any = store.client
    if operation == "query":
        return tried(lambda: {"Items": all_pages(store, request)})
    if operation == "transact_write_items":
        items = [{kind: {"TableName": store.table, **action}} for kind, action in request["actions"]]
        token = f"{store.table}-{request['token']}-{hash(str(request['actions']))}"[:36]
        return tried(lambda: client.transact_write_items(TransactItems=items, ClientRequestToken=token))
    return tried(lambda: getattr(client, operation)(TableName=store.table, **request))


@pytest.fixture
def pair(server: Server) -> Iterator[Callable[[], tuple[Store, Store]]]:
    with ExitStack() as stack:
        memory = MemoryServer()
        yield lambda: (
            stack.enter_context(fresh_table(memory, create_table)),
            stack.enter_context(fresh_table(server, create_table)),
        )


@pytest.mark.servers("ministack", "dynamodb-local")
@settings(
    max_examples=30, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(requests)
def test_it_answers_as_other_servers_do(pair: Callable[[], tuple[Store, Store]], requests: list[Request]) -> None:
    ours, theirs = pair()
    for operation, request in requests:
        assert asked(ours, operation, request) == asked(theirs, operation, request), (operation, request)


@pytest.mark.parametrize("text", ["contains(a, :v)", "size(a) > :v", "a.b = :v", "a = :v)", "NOT", "a = "])
def test_what_it_does_not_know_is_refused(text: str) -> None:
    with pytest.raises(NotImplementedError):
        expressions.condition(text)


@pytest.mark.parametrize("text", ["SET a = :v REMOVE a", "SET a = :v ADD a :n", "REMOVE a, a"])
def test_what_would_be_changed_twice_is_refused(text: str) -> None:
    with pytest.raises(NotImplementedError):
        expressions.update(text)


@pytest.fixture
def late() -> Iterator[Store]:
    with fresh_table(MemoryServer(), create_table) as store:
        yield store


def put(store: Store, sort: str, due: int) -> None:
    place: Any = {"pk": {"S": "R#1"}, "sk": {"S": sort}, "q": {"S": "d#0"}, "due": {"N": str(due)}}
    store.client.put_item(TableName=store.table, Item=place)


def listed(store: Store) -> list[tuple[str, str]]:
    where = built("KeyConditionExpression", Key("q").eq("d#0"), is_key=True)
    page: Any = store.client.query(TableName=store.table, IndexName="due", **where)
    return [(item["sk"]["S"], item["due"]["N"]) for item in page["Items"]]


def delay(store: Store, arrives: Callable[[], bool] | None) -> None:
    assert isinstance(store.server, MemoryServer)
    store.server.shelf.delay_indexes(store.table, arrives)


def test_an_index_stands_still_until_changes_arrive_and_the_table_is_never_late(late: Store) -> None:
    put(late, "1", due=10)
    put(late, "2", due=20)
    delay(late, lambda: False)
    put(late, "1", due=30)
    late.client.delete_item(TableName=late.table, Key={"pk": {"S": "R#1"}, "sk": {"S": "2"}})
    put(late, "3", due=5)
    assert listed(late) == [("1", "10"), ("2", "20")]
    assert late.client.scan(TableName=late.table)["Count"] == 2
    delay(late, None)
    assert listed(late) == [("3", "5"), ("1", "30")]


def test_changes_of_two_items_arrive_in_any_order_and_those_of_one_in_theirs(late: Store) -> None:
    delay(late, iter([False, True, True, True]).__next__)
    for sort, due in (("1", 10), ("1", 20), ("2", 30)):
        put(late, sort, due)
    assert listed(late) == [("2", "30")]
    assert listed(late) == [("1", "20"), ("2", "30")]
