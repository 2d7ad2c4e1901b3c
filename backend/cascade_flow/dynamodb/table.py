"""The client: conditional writes, transactions, paged reads, and the border where driver errors become ours.

The only module that asks DynamoDB, by a client of `aws` or of boto3. A false condition is an answer, not an error: it
is raised as `Refused`, with the items as they are now, for the ledger to read. A transaction cancelled by a conflict or
by throttling is not decided yet: no SDK sends such a request again, so the loop here does, with the same request and
the same token.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, TypeVar

from cascade_flow import clock
from cascade_flow.aws.failures import Failure, NoCredentials, NoRequest, ServiceError, asked
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.attribute_values import plain, raw
from cascade_flow.dynamodb.conditions import Attr, Condition, Expressions, Key
from cascade_flow.dynamodb.items import Item
from cascade_flow.errors import (
    BackendUnavailableError,
    CascadeFlowError,
    ConfigurationError,
    ConflictError,
    PayloadTooLargeError,
    ThrottledError,
)
from cascade_flow.records import dataclass

__all__ = ["Attr", "Check", "Condition", "Delete", "Key", "Put", "Refused", "Table", "Update", "Write", "translated"]

NONCE = "x"
"""The attribute that a single write leaves, to know its own work again when the answer was lost."""

_BATCH = 100
_TRIES = 12
_FIRST_PAUSE_US = 5_000
_LONGEST_PAUSE_US = 500_000
_CONFLICTS = frozenset({"TransactionConflictException", "TransactionInProgressException"})
_BUSY = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"})
_FORBIDDEN = frozenset(
    {"AccessDeniedException", "ExpiredTokenException", "InvalidSignatureException", "UnrecognizedClientException"}
)
_PLACE = frozenset({keys.DUE_SHARD, keys.DUE_TIME})
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Put:
    """Write a whole item; without a condition where writing it twice changes nothing."""

    item: Item
    when: Condition | None = None

    @property
    def nonce(self) -> str | None:
        return str(self.item[NONCE]) if NONCE in self.item else None

    def is_overtaken(self, item: Item) -> bool:
        """Who puts an item has nothing to go on with: it may be anything since."""
        return False


@dataclass(frozen=True)
class Update:
    """Change attributes: set them, set them where absent (`default`), remove them, or add to a number.

    One that is `blind` asks for nothing back, so it works on an item that nobody here can read.
    """

    key: keys.Key
    when: Condition | None
    set: Item = field(default_factory=dict)
    default: Item = field(default_factory=dict)
    remove: frozenset[str] = frozenset()
    add: Mapping[str, int] = field(default_factory=dict)
    blind: bool = False

    @property
    def nonce(self) -> str | None:
        return str(self.set[NONCE]) if NONCE in self.set else None

    def is_overtaken(self, item: Item) -> bool:
        """Whether the item is no longer as it has left it: others who write several items at once let the nonce stay.

        Its place in the due index is anybody's to move, and says nothing.
        """
        kept = {name: value for name, value in self.set.items() if name not in _PLACE}
        return not kept.items() <= item.items() or bool((self.remove - _PLACE) & item.keys())


@dataclass(frozen=True)
class Check:
    """Ask for a condition without writing."""

    key: keys.Key
    when: Condition


@dataclass(frozen=True)
class Delete:
    """Take an item away; nothing happens where there is none and no condition asks for it."""

    key: keys.Key
    when: Condition | None = None


Write = Put | Update | Check | Delete


class Refused(Exception):
    """A condition was false. `items` holds, for each write refused, the item as it is now (None: there is none)."""

    def __init__(self, items: Mapping[int, Item | None]) -> None:
        super().__init__("a condition was false")
        self.items = items


class Overtaken(Refused):
    """The write was done and its answer lost, and others have gone on from there since."""


class Table:
    """One table, by name."""

    def __init__(self, client: Any, name: str, *, first: Callable[[Table], object] | None = None) -> None:
        """`first` is done before anything is written."""
        self.client = client
        self.name = name
        self._first = first

    def get(self, key: keys.Key, *, only: Sequence[str] = ()) -> Item | None:
        """One item (or `only` some of it), read consistently; None where there is none or it has expired."""
        part = {"ProjectionExpression": ", ".join(only)} if only else {}
        answer = self._ask(self.client.get_item, Key=_raw_key(key), ConsistentRead=True, **part)
        return next(iter(_fresh([answer["Item"]])), None) if "Item" in answer else None

    def batch_get(self, wanted: Iterable[keys.Key]) -> list[Item]:
        """Items by their keys, read consistently, in no order; those that are not there are left out."""
        left = [_raw_key(key) for key in dict.fromkeys(wanted)]
        found: list[Item] = []
        refusals = 0
        while left:
            answer = self._batch(left[:_BATCH])
            found += _fresh(answer["Responses"].get(self.name, []))
            unread = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            left = unread + left[_BATCH:]
            if unread:
                refusals = _paused(refusals)
        return found

    def _batch(self, wanted: Sequence[Any]) -> Any:
        request = {self.name: {"Keys": wanted, "ConsistentRead": True}}
        return translated(lambda: self.client.batch_get_item(RequestItems=request))

    def query(self, span: keys.Span, *, at_once: int | None = None) -> Iterator[Item]:
        """The items of a span in the order of their sort keys, read consistently, page by page (of `at_once` items)."""
        condition = Key(keys.PARTITION).eq(span.pk) & Key(keys.SORT).between(span.first, span.last)
        size = {} if at_once is None else {"Limit": at_once}
        return self._pages(_where(KeyConditionExpression=condition), ConsistentRead=True, **size)

    def query_index(
        self, index: str, condition: Condition, *, backwards: bool = False, at_once: int | None = None
    ) -> Iterator[Item]:
        """What an index holds, page by page (of `at_once` entries where that is said): a hint, never the truth."""
        size = {} if at_once is None else {"Limit": at_once}
        where = _where(KeyConditionExpression=condition)
        return self._pages(where, IndexName=index, ScanIndexForward=not backwards, **size)

    def count_index(self, index: str, condition: Condition, *, at_most: int | None = None) -> int:
        """How many entries an index holds whose items have not expired; the entries are read, and nothing else.

        Nothing is read once there are `at_most`.

        The index must hold the time of expiry.
        """
        alive = Attr(keys.EXPIRY).gt(clock.now_us() // 1_000_000)
        where = _where(KeyConditionExpression=condition, FilterExpression=alive)
        number = 0
        for page in self._answers({**where, "IndexName": index, "Select": "COUNT"}):
            number += page["Count"]
            if at_most is not None and number >= at_most:
                break
        return number

    def delete(self, key: keys.Key) -> None:
        """Take one item away, if it is there: half of what a transaction costs."""
        _persistently(lambda: self.client.delete_item(TableName=self.name, Key=_raw_key(key)))

    def write(self, writes: Sequence[Write]) -> Item:
        """Do all of these writes or none; raises Refused. Answers the item after a single update."""
        if self._first is not None:
            self._first(Table(self.client, self.name))
            self._first = None
        if len(writes) == 1 and not isinstance(writes[0], Check | Delete):
            return self._write_one(writes[0])
        self._transact(writes)
        return {}

    def _write_one(self, write: Put | Update) -> Item:
        try:
            return self._answer_of(write)
        except ServiceError as error:
            old: Any = error.response.get("Item")
            item = None if old is None else plain(old)
            if item is None or write.nonce is None or item.get(NONCE) != write.nonce:
                raise Refused({0: item}) from None
            if write.is_overtaken(item):
                raise Overtaken({0: item}) from None
            return item

    def _answer_of(self, write: Put | Update) -> Item:
        call = self.client.put_item if isinstance(write, Put) else self.client.update_item
        request = {**_request(self.name, write), **_wanted_back(write)}
        answer: Any = _persistently(lambda: call(**request))
        return plain(answer.get("Attributes", {}))

    def _transact(self, writes: Sequence[Write]) -> None:
        token = secrets.token_hex(16)
        items = [_transact_item(self.name, write) for write in writes]
        try:
            _persistently(lambda: self.client.transact_write_items(TransactItems=items, ClientRequestToken=token))
        except ServiceError as error:
            reasons = enumerate(error.response.get("CancellationReasons", ()))
            failed = {n: reason.get("Item") for n, reason in reasons if reason.get("Code") == "ConditionalCheckFailed"}
            raise Refused({n: None if item is None else plain(item) for n, item in failed.items()}) from None

    def _ask(self, call: Callable[..., Any], **request: Any) -> Any:
        return translated(lambda: call(TableName=self.name, **request))

    def _pages(self, where: dict[str, Any], **options: Any) -> Iterator[Item]:
        for page in self._answers({**where, **options}):
            yield from _fresh(page["Items"])

    def _answers(self, request: dict[str, Any]) -> Iterator[Any]:
        start: dict[str, Any] = {}
        while True:
            page = self._ask(self.client.query, **request, **start)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _persistently(send: Callable[[], _Answer]) -> _Answer:
    """Send a write until it is decided. Raises ServiceError only where a condition was false."""
    for attempt in range(_TRIES - 1):
        try:
            return translated(send, passing=_is_refusal)
        except (ConflictError, ThrottledError) as error:
            if not _only_we_try_again(error.__cause__):
                raise
        _pause(attempt)
    return translated(send, passing=_is_refusal)


def _paused(refusals: int) -> int:
    """The number of times that a part of a batch was left out, this one included; raises ThrottledError."""
    if refusals == _TRIES:
        raise ThrottledError
    _pause(refusals)
    return refusals + 1


def _pause(attempt: int) -> None:
    clock.pause_us(round(random.uniform(0, min(_LONGEST_PAUSE_US, _FIRST_PAUSE_US * 2**attempt))))


def _only_we_try_again(cause: BaseException | None) -> bool:
    """Whether the driver has not yet sent it again itself, as it does with whatever is throttled on its own."""
    return isinstance(cause, ServiceError) and cause.code not in _BUSY


def translated(send: Callable[[], _Answer], *, passing: Callable[[ServiceError], bool] = lambda _: False) -> _Answer:
    """What a request answers, a driver's error being one of ours; those that `passing` knows are left to the caller."""
    try:
        return asked(send)
    except ServiceError as error:
        if passing(error):
            raise
        raise _translate(error) from error
    except NoCredentials as error:
        raise ConfigurationError(f"there are no AWS credentials: configure a role or a profile ({error})") from error
    except NoRequest as error:
        raise CascadeFlowError(f"a request is not one, which is a mistake of this engine: {error}") from error
    except Failure as error:
        raise BackendUnavailableError(f"DynamoDB can't be reached ({error}): try again later") from error


def _translate(error: ServiceError) -> CascadeFlowError:
    code = error.code
    message = " ".join([error.response["Error"].get("Message", ""), *_reasons(error, "Message")]).strip()
    if code in _CONFLICTS or (code == "TransactionCanceledException" and "Conflict" in str(_reasons(error))):
        return ConflictError()
    if code in _BUSY or any(
        reason in ("ThrottlingError", "ProvisionedThroughputExceeded") for reason in _reasons(error)
    ):
        return ThrottledError()
    if code == "ResourceNotFoundException":
        return ConfigurationError(f"there is no such table or index: deploy the template first ({message})")
    if code in _FORBIDDEN:
        return ConfigurationError(f"DynamoDB refuses these credentials: check the role or the profile ({message})")
    if "size" in message.lower() and "exceed" in message.lower():
        return PayloadTooLargeError(
            "what would be stored is larger than an item of DynamoDB, which holds 400 KB: make texts, metadata, tags "
            "shorter; inputs and outputs may be larger where there is a bucket"
        )
    if error.status >= 500 or code in ("InternalServerError", "ServiceUnavailable"):
        return BackendUnavailableError()
    return CascadeFlowError(f"DynamoDB refused a request, which is a mistake of this engine: {code}: {message}")


def _is_refusal(error: ServiceError) -> bool:
    code = error.code
    return code == "ConditionalCheckFailedException" or "ConditionalCheckFailed" in _reasons(error)


def _reasons(error: ServiceError, part: str = "Code") -> list[str]:
    return [str(reason.get(part) or "") for reason in error.response.get("CancellationReasons", ())]


def _wanted_back(write: Put | Update) -> dict[str, str]:
    if isinstance(write, Update) and write.blind:
        return {}
    returned = {} if isinstance(write, Put) else {"ReturnValues": "ALL_NEW"}
    return {**returned, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def _transact_item(table: str, write: Write) -> dict[str, Any]:
    kind = {Put: "Put", Update: "Update", Check: "ConditionCheck", Delete: "Delete"}[type(write)]
    return {kind: {**_request(table, write), "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}


def _request(table: str, write: Write) -> dict[str, Any]:
    told = Expressions()
    request: dict[str, Any] = {"TableName": table}
    if write.when is not None:
        request["ConditionExpression"] = write.when.spelled(told)
    if isinstance(write, Put):
        request["Item"] = raw(write.item)
    else:
        request["Key"] = _raw_key(write.key)
    if isinstance(write, Update):
        request["UpdateExpression"] = _update_expression(write, told)
    given = {"ExpressionAttributeNames": told.names, "ExpressionAttributeValues": raw(told.values)}
    return {**request, **{name: value for name, value in given.items() if value}}


def _update_expression(write: Update, told: Expressions) -> str:
    def name(attribute: str) -> str:
        told.names[f"#{attribute}_"] = attribute
        return f"#{attribute}_"

    def value(attribute: str, given: str | int | bytes) -> str:
        told.values[f":{attribute}_"] = given
        return f":{attribute}_"

    sets = [f"{name(a)} = {value(a, v)}" for a, v in write.set.items()]
    sets += [f"{name(a)} = if_not_exists({name(a)}, {value(a, v)})" for a, v in write.default.items()]
    clauses = {
        "SET": sets,
        "REMOVE": [name(a) for a in sorted(write.remove)],
        "ADD": [f"{name(a)} {value(a, v)}" for a, v in write.add.items()],
    }
    return " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts)


def _where(**conditions: Condition) -> dict[str, Any]:
    """The conditions of a query, by the names that its request has for them."""
    told = Expressions()
    expressions = {name: condition.spelled(told) for name, condition in conditions.items()}
    values = raw(told.values)
    return {**expressions, "ExpressionAttributeNames": told.names, "ExpressionAttributeValues": values}


def _raw_key(key: keys.Key) -> dict[str, Any]:
    return {keys.PARTITION: {"S": key.pk}, keys.SORT: {"S": key.sk}}


def _fresh(raws: Iterable[Mapping[str, Any]]) -> list[Item]:
    now_s = clock.now_us() // 1_000_000
    items = (plain(raw) for raw in raws)
    return [item for item in items if int(item.get(keys.EXPIRY, now_s + 1)) > now_s]
