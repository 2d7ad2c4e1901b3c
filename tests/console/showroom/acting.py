"""How the shop's steps behave: how long each takes, and when it fails. The same for the same run, each time."""

from __future__ import annotations

import math
from random import Random

from cascade_flow import StepContext, clock

MEDIAN_S = {
    "reserve": 0.4,
    "charge": 2.2,
    "pack/box": 0.7,
    "pack/note": 1.1,
    "ship": 3.0,
    "notify": 0.5,
    "books": 14.0,
    "country": 25.0,
    "publish": 4.0,
}
SPREAD = 0.5


class BankAway(ConnectionError):
    """Nobody answers at the bank."""


class CardRefused(Exception):
    """The bank says no."""


class LetterRefused(Exception):
    """The customer's mail server says no."""


FAILING: dict[str, list[tuple[float, Exception]]] = {
    "charge": [(0.13, BankAway("the bank answers 503: try again later")), (0.15, CardRefused("card ends in 4242"))],
    "notify": [(0.05, LetterRefused("550 mailbox unavailable"))],
    "country": [(0.01, TimeoutError("no answer from the ledger within 60 s"))],
}


def act(ctx: StepContext) -> None:
    """Take a while, and fail as steps do."""
    step = "country" if ctx.step_id.startswith("country/") else ctx.step_id
    dice = Random(f"{ctx.run_id}/{ctx.step_id}/{ctx.attempt}")
    took_s = MEDIAN_S[step] * math.exp(dice.gauss(0, SPREAD))
    clock.pause_us(round(took_s * 1_000_000))
    ctx.log.debug("took %.2f s", took_s)
    chance = dice.random()
    for below, error in FAILING.get(step, []):
        if chance < below:
            raise error
