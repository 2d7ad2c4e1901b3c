"""Trips: one that is paid, one whose payment fails and that is undone, one that is undone only later."""

from __future__ import annotations

from workflows.trips import cancel_hotel, hotel, pay, trips

from cascade_flow.testing import Engine, in_turn

POOR = {"who": "mila", "nights": 3, "card": 100}


def test_a_trip_that_is_paid_for_stays_booked(engine: Engine) -> None:
    result = engine.run(trips, {"who": "mila", "nights": 2}, expect="completed")
    assert result.output == {"pay": 250}
    assert result.undone is None


def test_what_was_booked_is_cancelled_where_the_payment_fails(engine: Engine) -> None:
    result = engine.run(trips, POOR, expect="failed")
    assert len(result.steps["pay"].attempts) == 1, "a card that is declined is not tried again"
    undone = result.undone
    assert undone is not None
    room = result.steps["hotel"].output.reference
    assert undone.steps["cancel_hotel"].output == f"{room} of mila is free again"
    assert {step_id: step.status for step_id, step in undone.steps.items()} == {
        "give_back_car": "completed",
        "cancel_hotel": "completed",
    }


def test_what_was_not_done_is_not_undone(engine: Engine) -> None:
    undone = engine.run(trips, {**POOR, "car": False}, expect="failed").undone
    assert undone is not None
    assert undone.steps["give_back_car"].skipped == "no car was rented"


def test_a_hotel_that_does_not_answer_is_asked_again(engine: Engine) -> None:
    busy = in_turn(OSError("busy"), OSError("busy"), "free")
    undone = engine.run(trips, POOR, fake={cancel_hotel: busy}, expect="failed").undone
    assert undone is not None
    assert [attempt.status for attempt in undone.steps["cancel_hotel"].attempts] == ["failed", "failed", "completed"]


def test_a_trip_that_is_tried_again_is_another_one(engine: Engine) -> None:
    failed = engine.run(trips, POOR, expect="failed")
    again = engine.resume(failed, fake={pay: 375}, expect="completed")
    assert again.steps["hotel"].output.reference != failed.steps["hotel"].output.reference
    assert hotel.__name__ in again.steps
