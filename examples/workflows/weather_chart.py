"""Draws a year's weather as SVG: temperatures above, rain in the middle, the sky below, on one axis of months."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 560
LEFT, RIGHT = 64, 24
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
SKY = {"sun": "#f2c14e", "fog": "#c9ced6", "drizzle": "#a3c4dc", "rain": "#4a7fb5", "snow": "#8e9fd0"}
INK, FAINT, WARM, COLD, WATER = "#2d3440", "#e3e6eb", "#d1603d", "#3d7dca", "#4a7fb5"
STEP = (WIDTH - LEFT - RIGHT) / 12


@dataclass(frozen=True)
class MonthlyWeather:
    """Twelve values each, January first: mean daily minimum and maximum (°C), rain (mm), shares of the sky's kinds."""

    coldest: Sequence[float]
    warmest: Sequence[float]
    rain_mm: Sequence[float]
    sky: Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Scale:
    """Maps values onto the height of a panel, from its bottom up."""

    top: float
    bottom: float
    low: float
    high: float
    every: int
    unit: str

    def y(self, value: float) -> float:
        return self.bottom - (value - self.low) / (self.high - self.low) * (self.bottom - self.top)

    def grid(self) -> Iterator[str]:
        for value in range(int(self.low), int(self.high) + 1, self.every):
            y = self.y(value)
            yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{FAINT}"/>'
            yield text(LEFT - 10, y + 4, f"{value} {self.unit}", anchor="end", size=11)


def draw(title: str, weather: MonthlyWeather) -> str:
    """The picture, complete in itself: no scripts, no fonts, nothing to load."""
    parts = [
        text(LEFT, 34, title, size=20, weight=600),
        *temperatures(weather),
        *rain(weather.rain_mm),
        *sky(weather.sky),
        *(text(middle(month), HEIGHT - 44, name, anchor="middle") for month, name in enumerate(MONTHS)),
        text(LEFT, HEIGHT - 12, "Data: NOAA National Climatic Data Center (public domain)", size=11, opacity=0.6),
    ]
    frame = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"'
    style = f'font-family="system-ui, sans-serif" fill="{INK}"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {frame} {style}>', paper(), *parts, "</svg>\n"])


def temperatures(weather: MonthlyWeather) -> Iterator[str]:
    lowest = min(0, 10 * int(min(weather.coldest) // 10))
    scale = Scale(top=84, bottom=244, low=lowest, high=30, every=10, unit="°C")
    yield text(LEFT, 70, "Mean daily minimum and maximum", size=13)
    yield from scale.grid()
    upper = [(middle(month), scale.y(value)) for month, value in enumerate(weather.warmest)]
    lower = [(middle(month), scale.y(value)) for month, value in enumerate(weather.coldest)]
    yield f'<polygon points="{points([*upper, *reversed(lower)])}" fill="{WARM}" opacity="0.16"/>'
    for line, colour, values in ((upper, WARM, weather.warmest), (lower, COLD, weather.coldest)):
        yield f'<polyline points="{points(line)}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        for (x, y), value in zip(line, values, strict=True):
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{value} °C</title></circle>'


def rain(monthly_mm: Sequence[float]) -> Iterator[str]:
    highest = 50 * (int(max(monthly_mm)) // 50 + 1)
    scale = Scale(top=292, bottom=402, low=0, high=highest, every=100 if highest > 200 else 50, unit="mm")
    yield text(LEFT, 278, "Rain and melted snow in a month", size=13)
    yield from scale.grid()
    for month, value in enumerate(monthly_mm):
        x, y = middle(month) - 0.32 * STEP, scale.y(value)
        box = f'x="{x:.1f}" y="{y:.1f}" width="{0.64 * STEP:.1f}" height="{scale.bottom - y:.1f}"'
        yield f'<rect {box} rx="2" fill="{WATER}"/>'
        yield text(middle(month), y - 5, f"{value:.0f}", anchor="middle", size=11)


def sky(shares: Sequence[Mapping[str, float]]) -> Iterator[str]:
    yield text(LEFT, 436, "Days of", size=13)
    for place, (kind, colour) in enumerate(SKY.items()):
        left = LEFT + 62 + 84 * place
        yield f'<rect x="{left}" y="426" width="11" height="11" rx="2" fill="{colour}"/>'
        yield text(left + 17, 436, kind, size=12)
    for month, of_month in enumerate(shares):
        x = middle(month) - 0.46 * STEP
        for kind, colour in SKY.items():
            width = 0.92 * STEP * of_month.get(kind, 0)
            yield f'<rect x="{x:.1f}" y="450" width="{width:.1f}" height="44" fill="{colour}"/>'
            x += width


def middle(month: int) -> float:
    return LEFT + (month + 0.5) * STEP


def points(line: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in line)


def paper() -> str:
    return f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'


def text(
    x: float, y: float, words: str, *, anchor: str = "start", size: int = 12, weight: int = 400, opacity: float = 1
) -> str:
    look = f'text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" opacity="{opacity}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(words)}</text>'
