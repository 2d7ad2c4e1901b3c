"""The meter's arithmetic, by AWS's published and measured examples."""

import pytest
from hypothesis import given, strategies as some

from cascade_flow.testing.memory.sizes import item_size, number_size, value_size
from testbed.capacity import Index, Schema, read_units, write_cost, write_units

DUE = Index("due", ("q", "due"), frozenset(["pk", "sk", "q", "due"]))
RUNS = Index("runs", ("rk",), frozenset(["pk", "sk", "rk", "state"]))
SCHEMA = Schema(("pk", "sk"), (DUE, RUNS))
PLAIN = {"pk": {"S": "R#1"}, "sk": {"S": "B#"}}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 1), ("0.000", 1), ("1", 2), ("-1", 3), ("12", 2), ("123", 3), ("1200", 2), ("1000", 2), ("100000", 2),
        ("1700000000000001", 9), ("1.5", 3), ("0.05", 2), ("0.5", 2), ("12.34", 3), ("1E+3", 2), ("-0.001", 3),
        ("9" * 38, 20),
    ],
)  # fmt: skip
def test_numbers_weigh_a_byte_for_two_digits(text: str, size: int) -> None:
    assert number_size(text) == size


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "é"}, 2), ({"B": b"abc"}, 3), ({"B": "YWJj"}, 3), ({"BOOL": True}, 1), ({"NULL": True}, 1),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"N": "1"}]}, 3 + 1 + 2 + 1 + 2), ({"M": {"ab": {"S": "c"}}}, 3 + 1 + 2 + 1),
        ({"SS": ["a", "bc"]}, 3), ({"NS": ["1", "100"]}, 4), ({"BS": [b"a", b"bc"]}, 3),
    ],
)  # fmt: skip
def test_values_weigh_what_aws_says(value: dict[str, object], size: int) -> None:
    assert value_size(value) == size


def test_names_weigh_too() -> None:
    assert item_size(PLAIN) == 2 + 3 + 2 + 2


@given(some.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**20), max_value=10**20))
def test_a_number_weighs_the_same_however_it_is_written(number: object) -> None:
    assert number_size(f"{number:f}") == number_size(f"{number:E}") == number_size(f"{number:f}00")


def test_units_round_up_and_never_vanish() -> None:
    assert [write_units(size) for size in (0, 1, 1024, 1025)] == [1, 1, 1, 2]
    assert [read_units(size, is_consistent=True) for size in (0, 4096, 4097)] == [1, 1, 2]
    assert [read_units(size, is_consistent=False) for size in (0, 4096, 4097)] == [0.5, 0.5, 1]


def test_the_larger_image_is_charged() -> None:
    big = PLAIN | {"tail": {"S": "x" * 3000}}
    assert write_cost(SCHEMA, big, PLAIN).table == write_cost(SCHEMA, PLAIN, big).table == 3
    assert write_cost(SCHEMA, big, None).table == 3
    assert write_cost(SCHEMA, None, None).table == 1


def test_an_index_costs_one_to_enter_or_leave_two_to_move_nothing_to_stay() -> None:
    queued = PLAIN | {"q": {"S": "due#1"}, "due": {"N": "5"}}
    moved = queued | {"due": {"N": "6"}}
    beaten = queued | {"beat": {"N": "6"}}
    assert write_cost(SCHEMA, PLAIN, queued).indexes == {"due": 1}
    assert write_cost(SCHEMA, queued, PLAIN).indexes == {"due": 1}
    assert write_cost(SCHEMA, queued, None).indexes == {"due": 1}
    assert write_cost(SCHEMA, queued, moved).indexes == {"due": 2}
    assert write_cost(SCHEMA, queued, beaten).indexes == {}


def test_a_change_of_what_an_index_projects_costs_one() -> None:
    running = PLAIN | {"rk": {"S": "run"}, "state": {"S": "running"}}
    ended = running | {"state": {"S": "completed"}}
    told = running | {"message": {"S": "hello"}}
    assert write_cost(SCHEMA, running, ended).indexes == {"runs": 1}
    assert write_cost(SCHEMA, running, told).indexes == {}


def test_half_a_key_is_not_in_the_index() -> None:
    assert write_cost(SCHEMA, PLAIN, PLAIN | {"q": {"S": "due#1"}}).indexes == {}
