"""An almanac: a page for each day of a year, written by as many workers as there are, and bound by another workflow.

    days ── page (a map: once a day) ──┬── warmest (reads the pages one by one)
                                       └── bindery (a workflow of its own) ── shelf (exported)

One day's row is torn and can't be read: the almanac comes out without it. A pen is dry at first: that page is tried
again. Both are in the input, so that it can be seen:

    cascade run almanac --watch
    cascade show RUN/page/41
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from cascade_flow import ItemFailed, Results, Retry, StepContext, Workflow

SOURCE = Path(__file__).parent / "data" / "seattle-weather.csv"
_SIGNS = {"sun": "☀", "fog": "≡", "drizzle": "⋮", "rain": "☂", "snow": "❄"}


class Year(BaseModel):
    """Which year, the day whose row is torn, and the day at which the pen is dry."""

    year: int = Field(default=2015, ge=2012, le=2015)
    torn: str = "02-11"
    dry: str = "04-01"


class Row(BaseModel):
    """A row of the file."""

    date: date
    temp_max: float
    weather: str


class Page(BaseModel):
    """A day of the almanac."""

    date: date
    warmth: float
    text: str


class Order(BaseModel):
    """What is to be bound."""

    title: str
    pages: int


bindery = Workflow("bindery", name="Where books are bound", input=Order)


@bindery.step
def cover(input: Order) -> str:
    return input.title.upper()


@bindery.step(export=True)
def book(input: Order, cover: str) -> str:
    return f"{cover}, {input.pages} pages"


almanac = Workflow("almanac", name="A page for each day", input=Year)


@almanac.step
def days(input: Year) -> list[Row]:
    """The rows of the year."""
    with SOURCE.open(newline="", encoding="utf-8") as file:
        return [Row.model_validate(row) for row in csv.DictReader(file) if row["date"].startswith(str(input.year))]


@almanac.map(over=days, concurrency=20, batch=10, tolerate=0.01, retry=Retry(max_attempts=2))
def page(day: Row, input: Year, index: int, ctx: StepContext) -> Page:
    """One day: ten of them are written in a row, and each is kept when it is done."""
    if f"{day.date:%m-%d}" == input.torn:
        raise ValueError("the row is torn")
    if f"{day.date:%m-%d}" == input.dry and ctx.attempt == 1:
        raise ConnectionError("the pen is dry")
    text = f"{index + 1}. {day.date:%d %B}: {_SIGNS[day.weather]} {day.temp_max:.0f} °C"
    return Page(date=day.date, warmth=day.temp_max, text=text)


@almanac.step
def warmest(page: Results[Page | ItemFailed]) -> Page:
    """The page of the warmest day; however many there are, one is in memory."""
    return max((each for each in page if isinstance(each, Page)), key=lambda each: each.warmth)


def order(page: list[Page | ItemFailed], input: Year) -> Order:
    """What the bindery is asked for."""
    return Order(title=f"Seattle {input.year}", pages=sum(isinstance(each, Page) for each in page))


bound = almanac.run(bindery, input=order)


@almanac.step(export=True)
def shelf(page: list[Page | ItemFailed], bindery: dict[str, Any], warmest: Page, days: list[Row]) -> dict[str, Any]:
    missing = [each for each in page if isinstance(each, ItemFailed)]
    return {
        "book": bindery["book"],
        "warmest": warmest.text,
        "missing": [f"{days[each.index].date}: {each.error.message}" for each in missing],
    }
