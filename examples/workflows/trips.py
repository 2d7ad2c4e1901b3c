"""A trip that is booked step by step, and paid last: where the payment fails, the rooms and the car are given back.

    hotel ──┬── pay
    car   ──┘
    give_back_car, cancel_hotel   (what undoes them: a run of its own, the last done first)

Say how much is on the card:

    cascade run trips --input '{"who": "mila", "nights": 3}'
    cascade run trips --input '{"who": "mila", "nights": 3, "card": 100}'
    cascade show RUN      (undone by ...: completed)

Nobody is asked here: each step says what a service would have answered. What a step returns is all that its undo is
given, beside the run's input.
"""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field

from cascade_flow import Retry, Skip, StepContext, Workflow

NIGHT, DAY = 80, 45


class Trip(BaseModel):
    """Who travels, for how long, and what they can pay."""

    who: str = "mila"
    nights: int = Field(default=3, ge=1)
    car: bool = True
    card: int = 1_000


class Booking(BaseModel):
    """What was booked: all that is needed to cancel it."""

    reference: str
    price: int


class Declined(Exception):
    """The card does not cover it."""


trips = Workflow("trips", name="Trips that are undone", input=Trip, timeout=timedelta(hours=1))


@trips.step
def hotel(input: Trip, ctx: StepContext) -> Booking:
    return Booking(reference=f"room-{ctx.idempotency_key[:8]}", price=NIGHT * input.nights)


@trips.undo(hotel, retry=Retry(max_attempts=20, delay=30), timeout=60)
def cancel_hotel(hotel: Booking, input: Trip) -> str:
    return f"{hotel.reference} of {input.who} is free again"


@trips.step
def car(input: Trip, ctx: StepContext) -> Booking:
    price = DAY * input.nights if input.car else 0
    return Booking(reference=f"car-{ctx.idempotency_key[:8]}", price=price)


@trips.undo(car)
def give_back_car(car: Booking) -> str:
    if car.price == 0:
        raise Skip("no car was rented")
    return f"{car.reference} is back"


@trips.step(retry=Retry(max_attempts=2, delay=1, give_up_on=[Declined]), export=True)
def pay(hotel: Booking, car: Booking, input: Trip) -> int:
    total = hotel.price + car.price
    if total > input.card:
        raise Declined(f"{total} is more than the card of {input.who} has")
    return total
