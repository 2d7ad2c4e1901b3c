"""When a schedule is due, against a slow model that knows no arithmetic of calendars: it walks in UTC, minute by
minute, and looks at the clock on the wall.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from itertools import islice, takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings, strategies as st

from cascade_flow import ArgumentInvalidError, ScheduleDefinition
from cascade_flow.calendars import LONGEST_US, Every, calendar_of, first_after, last_within

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
CHANGES = {
    "UTC": ["2026-02-27"],
    "Europe/Berlin": ["2026-03-28", "2026-10-24", "2028-02-28"],
    "America/New_York": ["2026-03-07", "2026-10-31"],
    "Australia/Lord_Howe": ["2026-04-04", "2026-10-03"],
    "Asia/Kathmandu": ["2026-12-30"],
    "America/Havana": ["2026-03-07"],
    "Pacific/Apia": ["2011-12-29", "2012-03-31"],
}
"""Days before those on which clocks are changed (in Havana at midnight), and before the Friday that Apia left out."""


def us(moment: datetime) -> int:
    return round(moment.timestamp()) * 1_000_000


def of(tick_us: int, zone: str = "UTC") -> str:
    return datetime.fromtimestamp(tick_us // 1_000_000, ZoneInfo(zone)).isoformat()


def ticks(begin: str, number: int, **declared: object) -> list[str]:
    """The first times after a moment, as the zone's clocks show them."""
    zone = str(declared.get("timezone") or "UTC")
    calendar = calendar_of(ScheduleDefinition.model_validate({"name": "s", **declared}))
    after_us = us(datetime.fromisoformat(begin).replace(tzinfo=ZoneInfo(zone)))
    return [of(tick, zone) for tick in islice(calendar.after(after_us), number)]


# -- the slow model ---------------------------------------------------------------------------------------------------


@cache
def field(text: str, least: int, most: int) -> frozenset[int]:
    """What a field of the generated grammar names: `*`, numbers, ranges, steps, lists of these."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        begin, end = (least, most) if span == "*" else (int(first), int(last or first))
        end = most if step and span != "*" and not last else end
        found |= set(range(begin, end + 1, int(step or 1)))
    return frozenset(found)


@dataclass(frozen=True)
class Named:
    """What a cron expression of the generated grammar names."""

    cron: str

    @cached_property
    def sets(self) -> list[frozenset[int]]:
        spans = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
        return [field(text, *span) for text, span in zip(self.cron.split(), spans, strict=True)]

    @cached_property
    def is_hourly(self) -> bool:
        return len(self.sets[1]) == 24

    @cached_property
    def is_narrow(self) -> bool:
        """Whether a day must be of the month and of the week, since one of the two begins with a star."""
        return any(text.startswith("*") for text in self.cron.split()[2::2])

    def day(self, wall: datetime) -> bool:
        of_month, weekday = wall.day in self.sets[2], wall.isoweekday()
        of_week = weekday in self.sets[4] or weekday % 7 in self.sets[4]
        return wall.month in self.sets[3] and ((of_month and of_week) if self.is_narrow else (of_month or of_week))

    def minute(self, wall: datetime) -> bool:
        return wall.minute in self.sets[0] and wall.hour in self.sets[1] and self.day(wall)


class Minute(NamedTuple):
    """A minute, in UTC and as a zone's clocks show it: whether they do so for the second time, and what they left out
    before it.
    """

    moment: datetime
    wall: datetime
    is_again: bool
    left_out: list[datetime]


@cache
def minutes_of(zone: str, day: str) -> list[Minute]:
    """Six days' minutes, from a day before this one on."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) - DAY
    found: list[Minute] = []
    seen: set[datetime] = set()
    for moment in (midnight + MINUTE * n for n in range(6 * 1440)):
        wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        before = found[-1].wall if found else wall - MINUTE
        left_out = [before + MINUTE * n for n in range(1, (wall - before) // MINUTE)]
        found.append(Minute(moment, wall, wall in seen, left_out))
        seen.add(wall)
    return found


def walked(cron: str, zone: str, day: str, begin: datetime, end: datetime) -> Iterator[datetime]:
    """All moments of UTC from the begin to the end at which it is due."""
    named = Named(cron)
    for moment, wall, is_again, left_out in minutes_of(zone, day):
        due = named.minute(wall) and (named.is_hourly or not is_again)
        made_up = not named.is_hourly and any(map(named.minute, left_out))
        if (due or made_up) and begin < moment <= end:
            yield moment


def fields(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    span = st.tuples(number, number).map(lambda two: f"{min(two)}-{max(two)}")
    step = st.integers(1, most).map(lambda n: f"*/{n}")
    single = number.map(str)
    return st.one_of(
        st.just("*"),
        st.just("*"),
        single,
        span,
        step,
        st.lists(st.one_of(single, span), min_size=2, max_size=3).map(",".join),
    )


EARLY = st.one_of(fields(0, 4), fields(0, 23))
"""Hours: mostly those in which clocks are changed."""
CRONS = st.tuples(fields(0, 59), EARLY, st.just("*"), st.just("*"), st.one_of(st.just("*"), fields(0, 7))).map(" ".join)
PLACES = st.sampled_from([(zone, day) for zone, days in CHANGES.items() for day in days])


@settings(max_examples=30, deadline=None)
@given(cron=CRONS, place=PLACES, hours=st.integers(0, 60), minutes=st.integers(0, 59))
@example(cron="30 2 * * *", place=("Europe/Berlin", "2026-03-28"), hours=0, minutes=0)
@example(cron="30 2 * * *", place=("Europe/Berlin", "2026-10-24"), hours=25, minutes=45)
@example(cron="30 2 * * *", place=("Europe/Berlin", "2026-10-24"), hours=27, minutes=10)
@example(cron="*/20 2 * * *", place=("Europe/Berlin", "2026-10-24"), hours=0, minutes=0)
@example(cron="15 */2 * * *", place=("Europe/Berlin", "2026-03-28"), hours=0, minutes=0)
@example(cron="15 2 * * *", place=("Australia/Lord_Howe", "2026-10-03"), hours=0, minutes=0)
@example(cron="45 1 * * *", place=("Australia/Lord_Howe", "2026-04-04"), hours=0, minutes=0)
@example(cron="30 * * * *", place=("Australia/Lord_Howe", "2026-04-04"), hours=0, minutes=0)
@example(cron="0 3 * * 5", place=("Pacific/Apia", "2011-12-29"), hours=0, minutes=0)
@example(cron="* * * * 5", place=("Pacific/Apia", "2011-12-29"), hours=0, minutes=0)
@example(cron="*/30 * * * 0", place=("America/Havana", "2026-03-07"), hours=0, minutes=0)
@example(cron="0 0 * * *", place=("America/Havana", "2026-03-07"), hours=0, minutes=0)
@example(cron="*/15 * * * *", place=("America/New_York", "2026-10-31"), hours=0, minutes=0)
def test_it_is_due_when_a_clock_on_the_wall_says_so(
    cron: str, place: tuple[str, str], hours: int, minutes: int
) -> None:
    """Wherever the asking begins, in a repeated hour too."""
    zone, day = place
    begin = minutes_of(zone, day)[1440].moment + timedelta(hours=hours, minutes=minutes)
    end = begin + 2 * DAY
    calendar = calendar_of(ScheduleDefinition(name="s", cron=cron, timezone=zone))
    found = list(takewhile(lambda tick: tick <= us(end), calendar.after(us(begin))))
    assert list(map(of, found)) == [moment.isoformat() for moment in walked(cron, zone, day, begin, end)]


@settings(max_examples=25, deadline=None)
@given(cron=st.tuples(st.just("0"), st.just("4"), fields(1, 31), fields(1, 12), fields(0, 7)).map(" ".join))
def test_days_months_and_weekdays_are_those_of_the_calendar(cron: str) -> None:
    """Over four years, the leap day among them; day and weekday both named: either will do."""
    named, begin, end = Named(cron), datetime(2026, 6, 1, tzinfo=UTC), datetime(2030, 6, 1, tzinfo=UTC)
    days = (begin + timedelta(days=n, hours=4) for n in range((end - begin).days))
    expected = [us(day) for day in days if named.day(day)]
    try:
        calendar = calendar_of(ScheduleDefinition(name="s", cron=cron))
    except ArgumentInvalidError:
        assert not expected
        return
    assert list(takewhile(lambda tick: tick < us(end), calendar.after(us(begin)))) == expected


@settings(max_examples=25, deadline=None)
@given(
    cron=CRONS,
    zone=st.sampled_from(ZONES),
    begin=st.integers(0, 50_000_000),
    span=st.integers(0, 1_000_000),
)
def test_the_newest_time_is_found_without_asking_for_all(cron: str, zone: str, begin: int, span: int) -> None:
    calendar = calendar_of(ScheduleDefinition(name="s", cron=cron, timezone=zone))
    first_us = (1_750_000_000 + begin) * 1_000_000
    last_us = first_us + span * 1_000_000
    within = list(islice(takewhile(lambda tick: tick <= last_us, calendar.after(first_us - 1)), 20_000))
    assert last_within(calendar, first_us, last_us) == (within[-1] if within else None)


class Counted:
    """A calendar that counts how often it is asked, and for how many ticks."""

    def __init__(self, every_us: int) -> None:
        self.rounds, self.ticks = 0, 0
        self._every = Every(every_us)

    def after(self, time_us: int) -> Iterator[int]:
        self.rounds += 1
        for tick_us in self._every.after(time_us):
            self.ticks += 1
            yield tick_us


@pytest.mark.parametrize("every_us", [60_000_000, 86_400_000_000, LONGEST_US])
def test_the_newest_time_of_a_year_costs_little_however_often_it_is_due(every_us: int) -> None:
    calendar, last_us = Counted(every_us), 4 * LONGEST_US - 1
    newest = last_within(calendar, 3 * LONGEST_US + 1, last_us)
    assert newest == (None if every_us == LONGEST_US else last_us // every_us * every_us)
    assert calendar.rounds < 25
    assert calendar.ticks < 30


@pytest.mark.parametrize(
    ("first_us", "last_us", "newest"),
    [(1, 59, None), (60, 60, 60), (60, 119, 60), (60, 120, 120), (0, 120, 120), (61, 119, None), (61, 60, None)],
)
@pytest.mark.parametrize("unit_us", [1_000_000, 60_000_000])
def test_the_newest_time_may_be_the_first_or_the_last(
    first_us: int, last_us: int, newest: int | None, unit_us: int
) -> None:
    found = last_within(Every(60 * unit_us), first_us * unit_us, last_us * unit_us)
    assert found == (None if newest is None else newest * unit_us)


# -- by name ----------------------------------------------------------------------------------------------------------


def test_a_time_that_does_not_exist_comes_once_after_it() -> None:
    assert ticks("2026-03-28T12:00", 3, cron="30 2 * * *", timezone="Europe/Berlin") == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
        "2026-03-31T02:30:00+02:00",
    ]


def test_a_time_that_exists_twice_comes_once() -> None:
    assert ticks("2026-10-24T12:00", 2, cron="30 2 * * *", timezone="Europe/Berlin") == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]


def test_what_is_due_every_hour_goes_by_the_clock_as_it_runs() -> None:
    spring = ticks("2026-03-29T00:30", 3, cron="0 * * * *", timezone="Europe/Berlin")
    assert spring == ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"]
    autumn = ticks("2026-10-25T01:30", 3, cron="0 0-23 * * *", timezone="Europe/Berlin")
    assert autumn == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"]


def test_a_clock_put_back_by_half_an_hour_shows_the_same_minute_again() -> None:
    """Whichever second the asking begins at."""
    calendar = calendar_of(ScheduleDefinition(name="s", cron="30 * * * *", timezone="Australia/Lord_Howe"))
    for begin in (datetime(2026, 4, 4, 14, 30, tzinfo=UTC), datetime(2026, 4, 4, 14, 31, 20, tzinfo=UTC)):
        found = [of(tick) for tick in islice(calendar.after(us(begin)), 2)]
        assert found == ["2026-04-04T15:00:00+00:00", "2026-04-04T16:00:00+00:00"]


def test_a_day_that_a_country_leaves_out_is_made_up_for() -> None:
    assert ticks("2011-12-28T12:00", 3, cron="0 3 * * *", timezone="Pacific/Apia") == [
        "2011-12-29T03:00:00-10:00",
        "2011-12-31T00:00:00+14:00",
        "2011-12-31T03:00:00+14:00",
    ]


def test_leap_days_and_long_months() -> None:
    assert ticks("2026-01-01T00:00", 2, cron="0 0 29 2 *") == ["2028-02-29T00:00:00+00:00", "2032-02-29T00:00:00+00:00"]
    months = [tick[:10] for tick in ticks("2026-01-31T12:00", 4, cron="0 0 31 * *")]
    assert months == ["2026-03-31", "2026-05-31", "2026-07-31", "2026-08-31"]


def test_every_so_often_stays_where_it_is_whenever_the_asking_begins() -> None:
    assert ticks("2026-01-01T00:07", 2, everyUs=600_000_000) == [
        "2026-01-01T00:10:00+00:00",
        "2026-01-01T00:20:00+00:00",
    ]
    assert ticks("2026-01-01T00:10", 1, everyUs=600_000_000) == ["2026-01-01T00:20:00+00:00"]


def test_a_century_that_is_no_leap_year_is_passed_over() -> None:
    assert ticks("2096-03-01T00:00", 1, cron="0 0 29 2 *") == ["2104-02-29T00:00:00+00:00"]


def test_the_first_after_a_tick_is_the_next_one() -> None:
    calendar = calendar_of(ScheduleDefinition(name="s", every_us=60_000_000))
    assert first_after(calendar, 120_000_000) == 180_000_000
    assert first_after(calendar, 119_999_999) == 120_000_000


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"cron": "0 25 * * *"}, "cron is '0 25 * * *', which has '25' as its hour: five fields are meant"),
        ({"cron": "0 3 32 * *"}, "which has '32' as its day of month"),
        ({"cron": "0 3 * * MOO"}, "which has 'MOO' as its day of week"),
        ({"cron": "0 3 * *"}, "which has 4 fields: five fields are meant"),
        ({"cron": "0 0 3 * * *"}, "which has 6 fields"),
        ({"cron": "@daily"}, "which has 1 fields"),
        ({"cron": ""}, "which has 0 fields"),
        ({"cron": "0 0 30 2 *"}, "which no year has: no month of 2 has a day 30"),
        ({"cron": "0 0 31 4,6 *"}, "which no year has: no month of 4,6 has a day 31"),
        (
            {"cron": "0 3 * * *", "timezone": "Europe/Berln"},
            "no time zone of the IANA's: perhaps Europe/Berlin is meant",
        ),
        ({"cron": "0 3 * * *", "timezone": "Asia/Katmandoo"}, "perhaps Asia/Katmandu is meant"),
        ({"cron": "0 3 * * *", "timezone": "Europe"}, "no time zone"),
        ({"cron": "0 3 * * *", "timezone": "../../etc/passwd"}, "no time zone"),
        ({"cron": "0 3 * * *", "timezone": ""}, "no time zone"),
        ({"everyUs": 59_999_999}, "every is a minute at least"),
        ({"everyUs": LONGEST_US + 1}, "and a year at most"),
        ({"everyUs": 60_000_000, "timezone": "UTC"}, "timezone goes with cron"),
        ({"everyUs": 60_000_000, "cron": "0 3 * * *"}, "one of cron and every says when it is due, and both are given"),
        ({}, "neither is given"),
    ],
)
def test_what_is_no_calendar_is_refused_in_clear_words(declared: dict[str, object], told: str) -> None:
    with pytest.raises(ArgumentInvalidError) as refused:
        calendar_of(ScheduleDefinition.model_validate({"name": "s", **declared}))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("declared", "paths"),
    [
        ({}, ["cron"]),
        ({"timezone": "UTC"}, ["cron", "timezone"]),
        ({"cron": "0 3 * *", "everyUs": 60_000_000}, ["cron", "cron"]),
        ({"cron": "0 25 * * *", "timezone": "nowhere"}, ["timezone", "cron"]),
        ({"everyUs": 1, "timezone": "nowhere"}, ["timezone", "timezone", "every"]),
    ],
)
def test_every_fault_is_told_at_its_field(declared: dict[str, object], paths: list[str]) -> None:
    with pytest.raises(ArgumentInvalidError) as refused:
        calendar_of(ScheduleDefinition.model_validate({"name": "s", **declared}))
    assert [issue.path for issue in refused.value.issues] == paths
    told = "; ".join(issue.message for issue in refused.value.issues)
    assert str(refused.value) == f"schedule 's' has no calendar: {told}"


@pytest.mark.parametrize("every_us", [60_000_000, LONGEST_US])
def test_every_minute_and_every_year_are_calendars(every_us: int) -> None:
    assert first_after(calendar_of(ScheduleDefinition(name="s", every_us=every_us)), 0) == every_us
