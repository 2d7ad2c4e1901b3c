"""Four years of Seattle's weather: read a file, check it, look at it from three sides at once, draw what was found.

    read ── check ──┬── temperature ──┐
                    ├── rain ─────────┼── chart (exported)
                    └── sky ──────────┤
                                      └── summary (exported)

The data and its licence: data/SOURCES.md.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from cascade_flow import StepContext, Workflow
from workflows.weather_chart import MonthlyWeather, draw

SOURCE = Path(__file__).parent / "data" / "seattle-weather.csv"
Kind = Literal["sun", "fog", "drizzle", "rain", "snow"]


class Period(BaseModel):
    """Which years to look at."""

    first_year: int = Field(default=2012, ge=2012, le=2015)
    last_year: int = Field(default=2015, ge=2012, le=2015)

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if self.first_year > self.last_year:
            raise ValueError("first_year lies after last_year")
        return self


class Day(BaseModel):
    """One day: precipitation in millimetres, temperatures in degrees Celsius, wind as in the source."""

    date: date
    precipitation: float = Field(ge=0)
    temp_min: float = Field(gt=-60)
    temp_max: float = Field(lt=60)
    wind: float = Field(ge=0)
    weather: Kind

    @model_validator(mode="after")
    def plausible(self) -> Self:
        if self.temp_min > self.temp_max:
            raise ValueError(f"the minimum {self.temp_min} is above the maximum {self.temp_max}")
        return self


class Temperatures(BaseModel):
    """Mean daily minimum and maximum of each month, January first; the extremes and their days."""

    monthly_min: list[float]
    monthly_max: list[float]
    coldest: Day
    hottest: Day


class Rain(BaseModel):
    """Rain per month in an average year, January first; the wettest day; the longest time without a drop."""

    monthly_mm: list[float]
    wettest: Day
    longest_dry_spell_days: int


class Summary(BaseModel):
    """What a reader would want to know first."""

    days: int
    hottest: str
    coldest: str
    wettest: str
    longest_dry_spell_days: int
    sunny_days_percent: int


weather = Workflow("seattle-weather", name="Seattle's weather, drawn", input=Period, timeout=600)


@weather.step
def read(input: Period) -> list[dict[str, str]]:
    """The rows of the file that belong to the period, as they are."""
    with SOURCE.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if input.first_year <= int(row["date"][:4]) <= input.last_year]
    print(f"{len(rows)} rows of {SOURCE.name}")
    return rows


@weather.step
def check(read: list[dict[str, str]], ctx: StepContext) -> list[Day]:
    """Every row as a Day. A few bad rows are left out and logged; more than one in a hundred is a failure."""
    days = []
    for row in read:
        try:
            days.append(Day.model_validate(row))
        except ValidationError as error:
            ctx.log.warning("left out %s: %s", row, error)
    if len(days) < 0.99 * len(read):
        raise ValueError(f"{len(read) - len(days)} of {len(read)} rows make no sense: is this the right file?")
    ctx.log.info("%d days are plausible", len(days))
    return days


@weather.step
def temperature(check: list[Day]) -> Temperatures:
    months = by_month(check)
    return Temperatures(
        monthly_min=[round(mean(day.temp_min for day in month), 1) for month in months],
        monthly_max=[round(mean(day.temp_max for day in month), 1) for month in months],
        coldest=min(check, key=lambda day: day.temp_min),
        hottest=max(check, key=lambda day: day.temp_max),
    )


@weather.step
def rain(check: list[Day]) -> Rain:
    years = len({day.date.year for day in check})
    spell = longest = 0
    for day in check:
        spell = 0 if day.precipitation else spell + 1
        longest = max(longest, spell)
    return Rain(
        monthly_mm=[round(sum(day.precipitation for day in month) / years, 1) for month in by_month(check)],
        wettest=max(check, key=lambda day: day.precipitation),
        longest_dry_spell_days=longest,
    )


@weather.step
def sky(check: list[Day]) -> list[dict[str, float]]:
    """For each month, the share of its days that each kind of weather had."""
    counts = [Counter(day.weather for day in month) for month in by_month(check)]
    return [{kind: round(count / month.total(), 3) for kind, count in month.items()} for month in counts]


@weather.step(export=True)
def chart(input: Period, temperature: Temperatures, rain: Rain, sky: list[dict[str, float]]) -> str:
    """The three of them in one picture, as SVG."""
    months = MonthlyWeather(temperature.monthly_min, temperature.monthly_max, rain.monthly_mm, sky)
    return draw(f"Weather in Seattle, {input.first_year} to {input.last_year}", months)


@weather.step(export=True)
def summary(check: list[Day], temperature: Temperatures, rain: Rain) -> Summary:
    return Summary(
        days=len(check),
        hottest=f"{temperature.hottest.temp_max} °C on {temperature.hottest.date}",
        coldest=f"{temperature.coldest.temp_min} °C on {temperature.coldest.date}",
        wettest=f"{rain.wettest.precipitation} mm on {rain.wettest.date}",
        longest_dry_spell_days=rain.longest_dry_spell_days,
        sunny_days_percent=round(100 * mean(day.weather == "sun" for day in check)),
    )


def by_month(days: Iterable[Day]) -> list[list[Day]]:
    """The days of all Januaries, of all Februaries, and so on."""
    months: defaultdict[int, list[Day]] = defaultdict(list)
    for day in days:
        months[day.date.month].append(day)
    return [months[month] for month in sorted(months)]
