"""Addresses that send an event: whom they are for, and how often and until when they do (protocol.md §13)."""

from __future__ import annotations

from hashlib import sha256

import pytest

from cascade_flow import ConfigurationError, EventClosedError, EventNotFoundError
from cascade_flow.dynamodb import keys
from cascade_flow.operations.callbacks import Callbacks
from cascade_flow.records import replace
from clauses.stage import RUN, begun, branch_of, done, ended, item_of, run_of
from clauses.test_events import NO, SCHEMA, WAIT_US, YES, chain
from simulation import World, step


def calls(world: World, url: str | None = "https://calls.example/") -> Callbacks:
    """A stack that takes calls there."""
    return Callbacks(replace(world.backend.runtime, callbacks_url=url))


def secret_of(world: World) -> str:
    """What sends the event of this run."""
    runtime = world.backend.runtime
    address = calls(world).address(runtime.facts(run_of(world)), "e")
    before, _, secret = address.rpartition("/")
    assert before == f"https://calls.example/callbacks/{RUN}"
    return secret


def test_there_is_no_address_of_what_a_run_does_not_wait_for(world: World) -> None:
    begun(world, *chain())
    facts = world.backend.runtime.facts(run_of(world))
    with pytest.raises(EventNotFoundError):
        calls(world).address(facts, "a")
    with pytest.raises(ConfigurationError, match="Callbacks=true"):
        calls(world, None).address(facts, "e")
    place = keys.callback(RUN, "")
    assert list(world.backend.runtime.ledger.table.query(keys.Span(place.pk, place.sk, f"{place.sk}~"))) == []


def test_an_address_asks_for_its_event_before_the_run_has_come_there(world: World) -> None:
    begun(world, *chain())
    secret = secret_of(world)
    asked = [calls(world).asked(RUN, secret)]
    done(world, "a")
    asked.append(calls(world).asked(RUN, secret))
    assert [(one.run.run_id, one.event, one.schema) for one in asked] == [(RUN, "e", SCHEMA)] * 2
    calls(world).decide(asked[0], YES)
    ended(world)


def test_a_secret_is_long_and_what_it_sends_says_that_it_came_by_an_address(world: World) -> None:
    begun(world, *chain())
    secret = secret_of(world)
    assert len(secret) >= 43, "of 32 bytes nobody guesses any"
    asked = calls(world).asked(RUN, secret)
    calls(world).decide(asked, YES)
    signal = branch_of(world, "e").signal
    assert signal is not None
    assert signal.via == "callback"
    with pytest.raises(EventClosedError) as refused:
        calls(world).decide(asked, YES)
    assert refused.value.facts["state"] == "sent"


def test_an_address_is_found_again_by_the_whole_hash_of_its_secret_and_nothing_else_of_that_is_stored(
    world: World,
) -> None:
    """Those that were given out before must be known to whoever answers later."""
    begun(world, *chain())
    secret = secret_of(world)
    mark = sha256(secret.encode()).hexdigest()
    assert item_of(world, keys.callback(RUN, mark)).keys() == {keys.PARTITION, keys.SORT, "s", keys.EXPIRY}
    assert calls(world).asked(RUN, secret).mark == mark


def test_whoever_is_first_sends_the_event_and_no_address_does_so_again(world: World) -> None:
    begun(world, *chain())
    done(world, "a")
    first, other = secret_of(world), secret_of(world)
    asked = [calls(world).asked(RUN, secret) for secret in (first, other)]
    calls(world).decide(asked[0], YES)
    for late, data in ((asked[0], YES), (asked[1], NO)):
        with pytest.raises(EventClosedError):
            calls(world).decide(late, data)
    with pytest.raises(EventClosedError):
        world.backend.send_event(RUN, "e", YES)
    for secret in (first, other):
        assert closed(world, secret) == "sent"
    ended(world)
    assert closed(world, first) == "completed"


def test_an_address_is_closed_once_the_time_for_its_event_is_over(world: World) -> None:
    begun(world, *chain(timeout_us=WAIT_US, on_timeout="skip"), step("x"))
    done(world, "a")
    secret = secret_of(world)
    world.clock.pause_us(2 * WAIT_US)
    world.sweep()
    assert closed(world, secret) == "timed-out"


def test_what_was_never_given_out_opens_nothing(world: World) -> None:
    begun(world, *chain())
    secret = secret_of(world)
    for run_id, wrong in ((RUN, secret[:-1]), ("other", secret), ("not an id", secret), (RUN, "")):
        with pytest.raises(EventNotFoundError, match="nothing at this address"):
            calls(world).asked(run_id, wrong)


def closed(world: World, secret: str) -> object:
    """What is told of an address that sends nothing any more."""
    with pytest.raises(EventClosedError) as refused:
        calls(world).asked(RUN, secret)
    return refused.value.facts["state"]
