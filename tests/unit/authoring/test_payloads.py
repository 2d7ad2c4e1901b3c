"""A value arrives as it was sent, or who sent it is told at once which field is in the way. Values are compared here,
never their texts."""

from __future__ import annotations

import dataclasses
import enum
import timeit
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address
from math import inf, isnan, nan
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    SerializeAsAny,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from typing_extensions import TypedDict

from cascade_flow.authoring import StepContext, Workflow
from cascade_flow.authoring.differences import Comparison
from cascade_flow.authoring.payloads import Payload, output_of, payload_of
from cascade_flow.errors import DefinitionError


class Limits(BaseModel):
    limit: int = Field(10, validation_alias=AliasChoices("LIMIT", "limit_value"))
    deep: int = Field(1, validation_alias=AliasPath("a", 0))
    plain: int = Field(2, validation_alias="PLAIN")
    both: int = Field(3, alias="Both")


class Amount(BaseModel):
    amount: int = Field(0, serialization_alias="Amount")


class Read(BaseModel):
    amount: int = Field(0, serialization_alias="Amount", validation_alias=AliasChoices("x", "Amount"))


class Login(BaseModel):
    secret: SecretStr


class Hidden(BaseModel):
    shown: int = 1
    hidden: int | None = Field(None, exclude=True)


class Reading(BaseModel):
    value: float
    note: Any = None


class NamedReading(Reading):
    name: str = "n"


class StrictReading(BaseModel):
    model_config = ConfigDict(strict=True)
    value: float


class Cat(BaseModel):
    name: str


class Dog(BaseModel):
    name: str


class Tagged(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Rounded(BaseModel):
    value: float

    @field_serializer("value")
    def rounded(self, value: float) -> int:
        return round(value)


class Shouted(BaseModel):
    text: str

    @field_validator("text")
    @classmethod
    def louder(cls, text: str) -> str:
        return f"{text}!"


class Revealed(BaseModel):
    secret: SecretStr

    @field_serializer("secret", when_used="json")
    def revealed(self, secret: SecretStr) -> str:
        return secret.get_secret_value()


class Renamed(BaseModel):
    """Its own code undoes what its alias does."""

    amount: int = Field(0, serialization_alias="Amount")

    @model_validator(mode="before")
    @classmethod
    def from_written(cls, data: Any) -> Any:
        return {"amount": data["Amount"]} if isinstance(data, dict) and "Amount" in data else data


class Flat(BaseModel):
    value: int = Field(0, exclude=True)

    @model_serializer
    def flat(self) -> dict[str, int]:
        return {"value": self.value}


class Counting(BaseModel):
    count: int = 1
    _cache: int = PrivateAttr(0)


class Encoded(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    data: bytes


class Names(RootModel[list[str]]):
    pass


@dataclasses.dataclass
class Point:
    x: float
    tags: list[str] = dataclasses.field(default_factory=list, compare=False)


@dataclasses.dataclass
class Point3(Point):
    z: float = 0.0


@dataclasses.dataclass
class Doubled:
    x: int

    def __post_init__(self) -> None:
        self.x *= 2


class Pair(NamedTuple):
    first: int
    second: date


class Row(TypedDict):
    id: int
    at: datetime


class Color(enum.Enum):
    RED = 1
    BLUE = "b"


class Size(enum.StrEnum):
    S = "s"


class Text(str):
    pass


class Box:
    """Knows no `==`."""

    def __init__(self, held: int, label: str = "") -> None:
        self.held, self.label = held, label


class Slot:
    """Has neither an `==` nor attributes that can be listed."""

    __slots__ = ("held",)

    def __init__(self, held: int) -> None:
        self.held = held


def carried(kind: type) -> Any:
    read = PlainValidator(lambda value: value if isinstance(value, kind) else kind(value), json_schema_input_type=int)
    return Annotated[kind, read, PlainSerializer(lambda value: value.held, return_type=int)]


def count() -> Iterator[int]:
    yield from range(3)


def sent(annotation: Any, value: Any) -> Any:
    """What arrives of a value, through JSON; DefinitionError where it is refused, when declared or when stored."""
    payload = output_of(annotation, "what it returns")
    return payload.load(payload.dump(value, "what it returns"), "it")


def refused(annotation: Any, value: Any) -> str:
    with pytest.raises(DefinitionError) as caught:
        sent(annotation, value)
    return str(caught.value)


BERLIN = ZoneInfo("Europe/Berlin")

KEPT: list[tuple[Any, Any]] = [
    (Limits, Limits(LIMIT=500, a=[7], PLAIN=8, Both=9)),
    (list[Limits], [Limits(limit_value=500)]),
    (Read, Read(Amount=250)),
    (Renamed, Renamed(amount=250)),
    (Flat, Flat(value=5)),
    (Revealed, Revealed(secret=SecretStr("s"))),
    (float, nan),
    (float, inf),
    (float | None, -inf),
    (Reading, Reading(value=nan)),
    (dict[str, list[Reading]], {"a": [Reading(value=inf, note={"b": [1, None]})]}),
    (set[float], {nan, 1.0}),
    (Point, Point(nan, ["a"])),
    (bytes, b"text"),
    (Encoded, Encoded(data=b"\xff\x00")),
    (tuple[int, str], (1, "a")),
    (Pair, Pair(1, date(2020, 1, 1))),
    (deque[int], deque([1])),
    (Counter[str], Counter("aab")),
    (OrderedDict[str, int], OrderedDict(b=1, a=2)),
    (dict[int, str], {1: "a"}),
    (dict[float, bool], {1.5: True}),
    (dict[date, UUID], {date(2020, 1, 1): UUID(int=1)}),
    (datetime, datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN, fold=1)),
    (datetime, datetime(2020, 1, 1)),
    (time, time(1, 2, 3, 4, tzinfo=UTC)),
    (timedelta, timedelta.max),
    (timedelta, timedelta(microseconds=-1)),
    (Decimal, Decimal("1.10")),
    (Color, Color.BLUE),
    (Size, Size.S),
    (IPv4Address | PurePosixPath, IPv4Address("10.0.0.1")),
    (Cat | Tagged, Tagged(name="a")),
    (NamedReading | Reading, NamedReading(value=1)),
    (int | float, 1.0),
    (bool | int, 1),
    (int | str, "1"),
    (Row, {"id": 1, "at": datetime(2020, 1, 1, tzinfo=UTC)}),
    (Names, Names(["a"])),
    (frozenset[frozenset[int]], frozenset([frozenset([1])])),
    (complex, 1 + 2j),
    (Any, {"a": [1, 1.0, True, None, "x", -0.0, 10**30]}),
    (Any, Hidden().model_dump()),
    (None, None),
    (carried(Box), Box(1)),
    (carried(Slot), Slot(1)),
]


@pytest.mark.parametrize(("annotation", "value"), KEPT)
def test_a_value_arrives_as_it_was(annotation: Any, value: Any) -> None:
    assert Comparison(is_open=False).difference(value, sent(annotation, value)) is None


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (Amount, Amount(amount=250), "Amount.amount is written as 'Amount' but not read so: give it alias='Amount'"),
        (dict[str, list[Amount]], {}, "Amount.amount is written as 'Amount'"),
        (Login, Login(secret=SecretStr("s")), "Login.secret is a secret, of which only asterisks are stored"),
        (list[SecretBytes], [], "it is a secret"),
        (Secret[int], Secret(1), "it is a secret"),
        (Hidden, Hidden(hidden=1), "Hidden.hidden has exclude=True and is not stored: take that out"),
        (Any, Amount(amount=250), 'Amount {"Amount":250} would arrive as dict {"Amount":250}: annotate it as Amount'),
        (Any, {"login": Login(secret=SecretStr("s"))}, "login: Login"),
        (dict[str, Any], {"a": [SecretStr("s")]}, "a.0: SecretStr"),
        (Any, Hidden(hidden=1), "annotate it as Hidden"),
        (Any, nan, "JSON has no such number: annotate it as float"),
        (dict[str, Any], {"a": {"b": [0, inf]}}, "a.b.1: float"),
        (Reading, Reading(value=nan, note=nan), "note: float"),
        (str | float, nan, "JSON has no such number"),
        (StrictReading, StrictReading(value=nan), "can't be read as it is written: value: Input should be a valid nu"),
        (Reading, NamedReading(value=1), "annotate it as NamedReading, or as a union with it: a Reading is all that"),
        (list[Reading], [Reading(value=1), NamedReading(value=1)], "1: NamedReading"),
        (SerializeAsAny[Reading], NamedReading(value=1), "annotate it as NamedReading"),
        (Point, Point3(1.0, z=2.0), "annotate it as Point3"),
        (Cat | Dog, Dog(name="a"), 'Dog {"name":"a"} would arrive as Cat'),
        (str | date, date(2020, 1, 1), "would arrive as str"),
        (str | Size, Size.S, "would arrive as str"),
        (bytes, b"\xff", "(it is no UTF-8 text): return text instead, such as base64"),
        (Any, {"a": [b"ok", b"\xff"]}, "(a.1 is no UTF-8 text)"),
        (Open, Open.model_validate({"b": "\ud800"}), "(b is no UTF-8 text)"),
        (Any, {"a": {1: 2}}, "a.1.[key]: int 1 would arrive as str"),
        (dict[Any, int], {None: 1}, "keys of JSON are text: annotate the dict with the type of its keys"),
        (dict[tuple[int, int], int], {(1, 2): 3}, "can't be read as it is written"),
        (dict[Color, int], {Color.RED: 1}, "can't be read as it is written"),
        (datetime, datetime(1800, 1, 1, tzinfo=BERLIN), "no text of a time holds seconds of an offset"),
        (time, time(1, tzinfo=timezone(timedelta(seconds=5))), "no text of a time holds seconds of an offset"),
        (Any, count(), "return a list"),
        (Any, {"a": map(str, [1])}, "a: map"),
        (Iterable[float], [1.0, nan], "1: Input should be a valid number"),
        (Rounded, Rounded(value=1.5), "value: float 1.5 would arrive as float 2.0: its serializers and its validators"),
        (Shouted, Shouted(text="a"), 'text: str "a!" would arrive as str "a!!"'),
        (Doubled, Doubled(1), "x: int 2 would arrive as int 4"),
        (carried(Box), Box(1, "lost"), 'label: str "lost" would arrive as str ""'),
        (Any, object(), "can't be stored as JSON"),
    ],
)
def test_what_would_be_lost_is_refused_with_its_field_and_the_cure(annotation: Any, value: Any, words: str) -> None:
    message = refused(annotation, value)
    assert message.startswith("what it returns ")
    assert words in message


@pytest.mark.parametrize(
    ("annotation", "value", "arrived"),
    [
        (Any, (1, (2,)), [1, [2]]),
        (Sequence[int], (1, 2), [1, 2]),
        (Any, {1}, [1]),
        (Any, datetime(2020, 1, 1, tzinfo=UTC), "2020-01-01T00:00:00Z"),
        (Any, {date(2020, 1, 1): Decimal("1.0")}, {"2020-01-01": "1.0"}),
        (Any, b"text", "text"),
        (Any, Color.RED, 1),
        (Any, Limits(LIMIT=5), {"limit": 5, "deep": 1, "plain": 2, "Both": 3}),
        (Any, Reading(value=nan), {"value": "NaN", "note": None}),
        (Any, Pair(1, date(2020, 1, 1)), [1, "2020-01-01"]),
        (Any, OrderedDict(a=1), {"a": 1}),
        (Any, Text("a"), "a"),
    ],
)
def test_what_has_no_type_travels_as_json_from_which_its_own_type_makes_it_again(
    annotation: Any, value: Any, arrived: Any
) -> None:
    assert Comparison(is_open=False).difference(arrived, sent(annotation, value)) is None
    if type(value) not in (dict, Text):
        read = payload_of(type(value), "it").adapter.validate_python(arrived, by_name=True)
        assert Comparison(is_open=False).difference(value, read) is None


def test_what_pydantic_takes_for_the_type_is_what_is_sent() -> None:
    """Its own meaning, before anything travels: what it turns into the type, and what it leaves out."""
    assert sent(int, "5") == 5
    assert sent(list[int], count()) == [0, 1, 2]
    assert sent(Cat, {"name": "a", "unknown": 1}) == Cat(name="a")
    assert sent(Row, {"id": 1, "at": datetime.min, "unknown": 1}) == {"id": 1, "at": datetime.min}
    assert list(sent(Iterable[int], count())) == [0, 1, 2]


def test_what_is_no_part_of_a_value_for_pydantic_does_not_travel() -> None:
    counting = Counting()
    counting._cache = 5
    arrived = sent(Counting, counting)
    assert (arrived.count, arrived._cache) == (1, 0)
    assert (counting.model_fields_set, arrived.model_fields_set) == (set(), {"count"})
    moved = sent(datetime, datetime(2020, 7, 1, tzinfo=BERLIN))
    assert (moved.utcoffset(), moved.tzname()) == (timedelta(hours=2), "+02:00"), "the zone itself has no text"


def test_a_checkpoint_keeps_its_result_or_is_refused_before_it_runs() -> None:
    ran: list[int] = []
    assert isnan(StepContext().checkpoint("a", lambda: nan, returns=float))
    assert StepContext().checkpoint("a", lambda: Limits(LIMIT=500), returns=Limits).limit == 500
    with pytest.raises(DefinitionError, match=r"Amount\.amount is written as 'Amount'"):
        StepContext().checkpoint("a", lambda: ran.append(1), returns=Amount)
    assert not ran


def test_a_step_that_would_lose_data_is_refused_when_it_is_declared() -> None:
    flow = Workflow("orders")

    @flow.step
    def pay() -> list[Hidden]:
        return []

    with pytest.raises(DefinitionError, match=r"step 'pay': its return type .* would lose data: Hidden\.hidden has ex"):
        flow.definition()


def test_an_input_may_hold_what_is_only_read() -> None:
    flow = Workflow("orders", input=Login)

    @flow.step
    def pay(input: Login) -> int:
        return 1

    assert flow.definition().input is not None


# -- whatever the type, whatever the value -----------------------------------------------------------------------------


def is_one_instant(time: datetime) -> bool:
    """Whether it can equal a time with another zone: one that a clock shows twice, or never, can't (PEP 495)."""
    return time.utcoffset() == time.replace(fold=1 - time.fold).utcoffset()


SCALARS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (float, st.floats()),
    (bool, st.booleans()),
    (str, st.text(max_size=8)),
    (bytes, st.binary(max_size=4)),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (date, st.dates()),
    (datetime, st.datetimes(timezones=st.none() | st.timezones()).filter(is_one_instant)),
    (time, st.times(timezones=st.none() | st.just(UTC))),
    (timedelta, st.timedeltas()),
    (UUID, st.uuids()),
    (Color, st.sampled_from(Color)),
    (Any, st.none() | st.integers() | st.floats() | st.text(max_size=4) | st.dates() | st.tuples(st.binary())),
    (Cat | Dog, st.builds(Dog, name=st.text(max_size=2)) | st.builds(Cat, name=st.text(max_size=2))),
    (Reading, st.builds(Reading, value=st.floats()) | st.builds(NamedReading, value=st.floats())),
]
TYPED = st.sampled_from(SCALARS)


def grown(inner: st.SearchStrategy[tuple[Any, Any]]) -> st.SearchStrategy[tuple[Any, Any]]:
    def listed(of: tuple[Any, Any]) -> tuple[Any, Any]:
        return list[of[0]], st.lists(of[1], max_size=3)  # type: ignore[name-defined]

    def keyed(of: tuple[tuple[Any, Any], tuple[Any, Any]]) -> tuple[Any, Any]:
        (key, keys), (value, values) = of
        return dict[key, value], st.dictionaries(keys, values, max_size=2)  # type: ignore[valid-type]

    def either(of: tuple[tuple[Any, Any], tuple[Any, Any]]) -> tuple[Any, Any]:
        (one, ones), (other, others) = of
        return one | other if Any not in (one, other) else Any, ones | others

    keys = st.sampled_from([pair for pair in SCALARS if pair[0] in (int, float, bool, str, date, UUID, Color, bytes)])
    return inner.map(listed) | st.tuples(keys, inner).map(keyed) | st.tuples(inner, inner).map(either)


def text_or_refusal(payload: Payload, value: Any) -> str | DefinitionError:
    try:
        return payload.dump(value, "it")
    except DefinitionError as error:
        return error


@settings(max_examples=300, deadline=None)
@given(st.recursive(TYPED, grown, max_leaves=4), st.data())
def test_whatever_is_stored_is_read_as_it_was(typed: tuple[Any, Any], data: st.DataObject) -> None:
    annotation, values = typed
    value = data.draw(values)
    payload = output_of(annotation, "it")
    text = text_or_refusal(payload, value)
    if isinstance(text, DefinitionError):
        assert str(text).startswith(("it can't be", "it would not arrive as it is: "))
        return
    arrived = payload.load(text, "it")
    is_open = "typing.Any" in str(annotation) or "Reading" in str(annotation)
    assert Comparison(is_open=is_open).difference(payload.fitting(value, "it"), arrived) is None
    if not is_open and "nan" not in repr(value):
        assert arrived == payload.fitting(value, "it")


def test_looking_again_costs_little() -> None:
    """50 µs are allowed for 100 bytes; asked for here is the best of many, in the smallest unit, ten times as lax."""
    order = Row(id=1, at=datetime(2020, 1, 1, tzinfo=UTC))
    payload = output_of(list[Row], "it")
    assert 100 < len(payload.dump([order] * 3, "it")) < 120
    assert min(timeit.repeat(lambda: payload.dump([order] * 3, "it"), number=20, repeat=25)) / 20 < 500e-6


@pytest.mark.parametrize("kind", [Mapping[str, int], dict[str, int]])
def test_order_is_kept(kind: Any) -> None:
    assert list(sent(kind, {"b": 1, "a": 2})) == ["b", "a"]
