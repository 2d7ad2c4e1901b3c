"""What was sold yesterday, by country, for those who decide in the morning."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel

from cascade_flow import StepContext, Workflow
from console.showroom.acting import act

COUNTRIES = ("at", "de", "fr", "it", "nl", "pl")


class Day(BaseModel):
    """Which day."""

    day: str = "yesterday"
    full: bool = False


sales = Workflow("sales-report", name="Sales report", input=Day, timeout=timedelta(hours=6))


@sales.step
def books(input: Day, ctx: StepContext) -> str:
    """Closes the day's books."""
    act(ctx)
    return input.day


def country(called: str) -> None:
    """Declares the step of one country."""

    @sales.step(id=f"country/{called}")
    def add_up(books: str, ctx: StepContext) -> dict[str, int]:
        """Adds up one country's orders."""
        act(ctx)
        return {called: len(books) * 117}


for each in COUNTRIES:
    country(each)


@sales.step(after=[f"country/{each}" for each in COUNTRIES], export=True)
def publish(ctx: StepContext) -> str:
    """Puts the table where everybody finds it."""
    act(ctx)
    return "published"


sales.schedule("mornings", cron="30 5 * * 1-5", timezone="Europe/Berlin", input=Day())
sales.schedule("hourly", every=timedelta(hours=1), input=Day(full=True))
