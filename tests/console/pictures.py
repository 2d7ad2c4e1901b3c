"""Pictures of each page of the console, in both themes and two widths, of a stack that has a day behind it.

`make pictures` takes those anew that the documentation shows; `python -m console.pictures FOLDER` all, to be looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Literal

from playwright.sync_api import expect

from browser import Visit, chromium, visit
from cascade_flow.client import Client
from cascade_flow.console import Console, Wishes
from cascade_flow.signing import StaticKeys
from console.showroom.day import a_day
from functions.front_door import KEY, SECRET, Gateway, serving

DOCS = Path(__file__).parents[2] / "docs"
WIDTHS = {1280: 860, 390: 844}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def api_client(api: str) -> Client:
    return Client(api, region="us-east-1", session=StaticKeys(KEY, SECRET))


@contextmanager
def console(api: str, *, read_only: bool = False) -> Iterator[Console]:
    """A console in front of this API."""

    wishes = Wishes(port=0, read_only=read_only, about={"name": "shop", "where": "local", "apiUrl": api})
    with Console(lambda: api_client(api), wishes) as opened:
        thread = Thread(target=opened.serve)
        thread.start()
        yield opened
        opened.stop()
        thread.join()


@dataclass(frozen=True)
class Place:
    """A page, and what shows that it is there."""

    name: str
    path: str
    seen: str


def places(client: Client) -> list[Place]:
    """Each page, at a run and a workflow that have something to show."""
    failed = client.runs(status=["failed"], workflow_slug="orders", limit=1)["runs"][0]["runId"]
    return [
        Place("runs", "/runs", ".rows .row"),
        Place("run", f"/runs/{failed}?step=charge", ".node"),
        Place("workflows", "/workflows", ".card"),
        Place("workflow", "/workflows/orders?step=charge", ".change, .schedules li"),
        Place("health", "/health", ".numbers"),
    ]


def take(api: str, folder: Path, wanted: Collection[str] = ()) -> None:
    """A picture of each page, in both themes and at both widths."""
    with console(api) as opened, chromium() as browser, api_client(api) as client:
        for theme, (width, height) in product(THEMES, WIDTHS.items()):
            for place in places(client):
                if not wanted or place.name in wanted:
                    with visit(browser, width=width, height=height, theme=theme) as seen:
                        shot(seen, opened.link(place.path), place, folder / f"{place.name}-{width}-{theme}.png")


def shot(seen: Visit, link: str, place: Place, file: Path) -> None:
    seen.page.goto(link)
    expect(seen.page.locator(place.seen).first).to_be_visible()
    expect(seen.page.locator(".loading:visible")).to_have_count(0)
    seen.page.screenshot(path=file, full_page=True)


def main(folder: str) -> None:
    """Take them all."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    with a_day(), serving(Gateway()) as api:
        take(api, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1])
