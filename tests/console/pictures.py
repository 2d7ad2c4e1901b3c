"""Pictures of each page of the console, in both themes and two widths, of a stack that has a day behind it.

`make pictures` takes those anew that the documentation shows; `python -m console.pictures FOLDER` all, to be looked at.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Any, Literal, NamedTuple

from playwright.sync_api import expect

from browser import Visit, chromium, visit
from cascade_flow.client import Client
from cascade_flow.console import Console, Wishes
from cascade_flow.signing import StaticKeys
from console.showroom.day import Shop, a_day
from functions.front_door import KEY, SECRET, Gateway, serving

DOCS = Path(__file__).parents[2] / "docs"
WIDTHS = {1280: 860, 390: 844}
FEW = 4
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
PAGES = ("runs", "run", "workflows", "workflow", "health")


class Look(NamedTuple):
    """A page as it is seen, and the file that shows it; `whole`: below the window's edge, too."""

    file: str
    page: str
    width: int
    theme: Theme
    whole: bool = False


EACH = [
    Look(f"{page}-{width}-{theme}", page, width, theme, whole=True)
    for theme, width, page in product(THEMES, WIDTHS, PAGES)
]
SHOWN = [
    *(Look(f"console-{page}", page, 1280, "light") for page in ("runs", "run", "workflow", "health")),
    Look("console-run-dark", "run", 1280, "dark"),
    Look("console-health-narrow", "health", 390, "dark"),
]


def api_client(api: str) -> Client:
    return Client(api, region="us-east-1", session=StaticKeys(KEY, SECRET))


@contextmanager
def console(api: str, *, read_only: bool = False) -> Iterator[Console]:
    """A console in front of this API."""

    wishes = Wishes(port=0, read_only=read_only, about={"name": "shop", "where": "local", "apiUrl": api})
    with Console(lambda: api_client(api), wishes) as opened:
        thread = Thread(target=opened.serve)
        thread.start()
        try:
            yield opened
        finally:
            opened.stop()
            thread.join()


@dataclass(frozen=True)
class Place:
    """A page, and what shows that it is there."""

    name: str
    path: str
    seen: str


@dataclass
class Hands:
    """Workers that have something in hand while pictures are taken, and a reaper that looks."""

    shop: Shop
    client: Client
    held: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def take(self) -> None:
        """Claim what is due, one worker each."""
        for number in range(FEW):
            wish = {"workerId": f"worker-{number}f3a9c1e"}
            answer = self.client.ask("POST", "/steps/claim", json.dumps(wish).encode())
            if answer.status == 200:
                claim = json.loads(answer.data)
                path = f"/runs/{claim['runId']}/steps/{claim['stepId']}/heartbeat"
                self.held.append((path, {**wish, "attemptNumber": claim["attemptNumber"]}))

    def beat(self) -> None:
        for path, body in self.held:
            assert self.client.ask("POST", path, json.dumps(body).encode()).status == 200
        self.shop.sweep()


def places(client: Client) -> list[Place]:
    """Each page, at a run and a workflow that have something to show."""
    failed = client.runs(status=["failed"], workflow_slug="orders", limit=1)["runs"][0]["runId"]
    return [
        Place("runs", "/runs", ".rows .row"),
        Place("run", f"/runs/{failed}?step=charge", ".node"),
        Place("workflows", "/workflows", ".card"),
        Place("workflow", "/workflows/orders?step=charge", ".change"),
        Place("health", "/health", ".chart-text"),
    ]


def take(hands: Hands, api: str, folder: Path, looks: Iterable[Look]) -> None:
    """A picture of each page, once for each look that there is at it."""
    known = {place.name: place for place in places(hands.client)}
    with console(api) as opened, chromium() as browser:
        for look in looks:
            hands.beat()
            with visit(browser, width=look.width, height=WIDTHS[look.width], theme=look.theme) as seen:
                place = known[look.page]
                shot(seen, opened.link(place.path), place, folder / f"{look.file}.png", whole=look.whole)


def shot(seen: Visit, link: str, place: Place, file: Path, *, whole: bool) -> None:
    seen.page.goto(link)
    expect(seen.page.locator(place.seen).first).to_be_visible()
    expect(seen.page.locator(".loading:visible")).to_have_count(0)
    seen.page.screenshot(path=file, full_page=whole)


def main(folder: Path, looks: Iterable[Look]) -> None:
    """Take these pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with a_day() as shop, serving(Gateway()) as api, api_client(api) as client:
        hands = Hands(shop, client)
        hands.take()
        take(hands, api, folder, looks)


if __name__ == "__main__":
    if sys.argv[1:]:
        main(Path(sys.argv[1]), EACH)
    else:
        main(DOCS, SHOWN)
