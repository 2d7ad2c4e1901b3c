"""The scheduler finds what only some orders show, and a seed shows it again."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from testbed.faults import Crash, Faults, Kind, by_rate
from testbed.servers import Store
from testbed.turnstile import Actor, History, Turnstile, explore, play

KEY = {"pk": {"S": "R#1"}, "sk": {"S": "B#"}}


def read(client: Any, store: Store) -> int:
    item = client.get_item(TableName=store.table, Key=KEY, ConsistentRead=True).get("Item", {})
    return int(item.get("n", {"N": "0"})["N"])


def write(client: Any, store: Store, number: int) -> None:
    client.put_item(TableName=store.table, Item=KEY | {"n": {"N": str(number)}})


def counters(store: Store, gate: Turnstile) -> dict[str, Actor]:
    """Two actors that each add one, by reading and writing: what is lost when they overlap."""
    write(store.another_client(), store, 0)
    clients = [store.another_client() for _ in range(2)]
    gate.attach(*clients)
    return {f"actor-{number}": partial(count, client, store) for number, client in enumerate(clients)}


def count(client: Any, store: Store) -> None:
    write(client, store, read(client, store) + 1)


def test_every_order_of_two_by_two_requests_is_found(dynamodb: Store) -> None:
    ends: set[int] = set()
    histories: set[tuple[tuple[str, str], ...]] = set()

    def stage(gate: Turnstile, seed: int) -> Mapping[str, Actor]:
        return counters(dynamodb, gate)

    def check(history: History) -> None:
        ends.add(read(dynamodb.client, dynamodb))
        histories.add(tuple(move for move in history.moves if move[1] != "begin"))

    explore(range(100), stage, check)
    assert len(histories) == 6
    assert ends == {1, 2}


def test_a_seed_is_a_history(dynamodb: Store) -> None:
    def stage(gate: Turnstile, seed: int) -> Mapping[str, Actor]:
        return counters(dynamodb, gate)

    assert play(3, stage) == play(3, stage)
    assert play(3, stage).moves != play(5, stage).moves


def test_a_failed_check_names_its_seed_and_moves(dynamodb: Store) -> None:
    def stage(gate: Turnstile, seed: int) -> Mapping[str, Actor]:
        return counters(dynamodb, gate)

    def check(history: History) -> None:
        assert read(dynamodb.client, dynamodb) == 2

    with pytest.raises(AssertionError) as failed:
        explore(range(100), stage, check)
    (note,) = failed.value.__notes__
    assert note.startswith("seed ")
    assert "PutItem" in note


def test_crashes_are_outcomes_and_repeat(dynamodb: Store) -> None:
    def stage(gate: Turnstile, seed: int) -> Mapping[str, Actor]:
        clients = [dynamodb.another_client() for _ in range(2)]
        gate.attach(*clients)
        broken = Faults(by_rate(seed, {Kind.CRASH_AFTER: 0.3}))
        for client in clients:
            broken.attach(client)
        return {str(number): partial(count, client, dynamodb) for number, client in enumerate(clients)}

    def ends(seed: int) -> list[type | None]:
        outcomes = play(seed, stage).outcomes
        return [type(outcomes[name].raised) if outcomes[name].raised else None for name in sorted(outcomes)]

    runs = [ends(seed) for seed in range(10)]
    assert runs == [ends(seed) for seed in range(10)]
    assert {kind for run in runs for kind in run} == {None, Crash}


def test_moves_that_are_no_requests_take_their_turn() -> None:
    order: list[str] = []

    def tick(gate: Turnstile, name: str) -> None:
        gate.pause("tick")
        order.append(name)

    def stage(gate: Turnstile, seed: int) -> Mapping[str, Actor]:
        return {name: partial(tick, gate, name) for name in ("clock", "other")}

    history = play(0, stage)
    assert [actor for actor, move in history.moves if move == "tick"] == order
