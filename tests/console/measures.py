"""How fast the console is here: a run of 1,000 steps, and what the list asks for with 100,000 stored.

`PYTHONPATH=tests:. python -m console.measures` says it in medians of some visits, with the machine's load beside them;
with `steps` or `runs` behind it, the one or the other.
"""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Route

import events
from browser import chromium, visit
from budgets.figures import Spent
from budgets.growth import fill, samples_of
from budgets.measures import Metered
from cascade_flow import StepDefinition, clock
from cascade_flow.api import resources
from cascade_flow.console import Console
from cascade_flow.dynamodb import schema
from console.pictures import console
from events.deployed import app
from functions.front_door import Gateway, serving
from shapes import diamond
from simulation import step
from testbed.meter import meter
from testbed.servers import MemoryServer, Store

VISITS = 3
LONG, WIDE, TOWARDS = 25, 40, 3
STORED = (1_000, 100_000)
PAGES = 4

PAINTED = """
(() => {
  const told = (window.told = { long: [] });
  new PerformanceObserver((list) => told.long.push(...list.getEntries().map((each) => each.duration)))
    .observe({ type: "longtask", buffered: true });
  const look = () => {
    for (const [name, seen] of Object.entries({ graph: ".node", timeline: ".lane", events: ".event" }))
      if (!told[name] && document.querySelector(seen)) requestAnimationFrame(() => (told[name] ??= performance.now()));
    requestAnimationFrame(look);
  };
  look();
})()
"""
"""Notes when the parts of a run's page were first painted, and which tasks kept the page from answering."""


def lines() -> list[StepDefinition]:
    """Lines of steps beside each other, between one that begins and one that ends: nothing of it can be folded."""
    inner = [
        step(_name(row, line), _name(row - 1, line) if row else "begin") for line in range(WIDE) for row in range(LONG)
    ]
    return [step("begin"), *inner, step("end", *(_name(LONG - 1, line) for line in range(WIDE)))]


def fan(wide: int = LONG * WIDE) -> list[StepDefinition]:
    """One step, all others beside each other, and one that waits for them."""
    names = [f"part-{number:03}" for number in range(wide)]
    return [step("list"), *(step(name, "list") for name in names), step("sum", *names)]


def _name(row: int, line: int) -> str:
    return f"line-{line:02}/step-{row:02}"


def _weave(route: Route) -> None:
    """Each step of the lines waits for some of the row above: what a run of it costs would be the engine's to say."""
    answer = route.fetch()
    told = answer.json()
    for each in told.get("steps", []):
        if found := re.fullmatch(r"line-(\d+)/step-(\d+)", each["stepId"]):
            line, row = map(int, found.groups())
            each["dependencies"] = (
                [_name(row - 1, (line * 7 + k * 3) % WIDE) for k in range(TOWARDS)] if row else ["begin"]
            )
    route.fulfill(response=answer, body=json.dumps(told))


@contextmanager
def world_of(steps: list[StepDefinition]) -> Iterator[tuple[Metered, Store]]:
    """A table in this process with this workflow, and functions around it."""
    server = MemoryServer()
    store = Store(server, "measures")
    schema.create_table(server.dynamodb(), store.table)
    world = Metered(store)
    with clock.use(world.clock), resources.use(world.backend.runtime):
        world.register(steps, input_schema_json={"type": "object"})
        yield world, store


class TimedGateway(Gateway):
    """Adds up what the functions take of the processor."""

    def __init__(self) -> None:
        super().__init__()
        self.took_s = 0.0

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        begun_s = time.thread_time()
        try:
            return super().answer(method, target, headers, body)
        finally:
            self.took_s += time.thread_time() - begun_s


@contextmanager
def opened(gateway: Gateway) -> Iterator[Console]:
    """A console before these functions."""
    with serving(gateway) as api, console(api) as there:
        yield there


@dataclass(frozen=True)
class Painting:
    """When, in ms since the address was entered, what was seen; the longest that the page didn't answer; and what all
    of it took of the processor in the page, which says more than times on a machine that has other things to do.
    """

    graph: float
    timeline: float
    events: float
    longest: float
    processor: float


def painted(browser: Browser, there: Console, run_id: str, *, woven: bool = False) -> Painting:
    """Open a run's page in a fresh profile."""
    with visit(browser) as seen:
        if woven:
            seen.page.route(re.compile(rf"/api/runs/{run_id}(/steps)?\?"), _weave)
        seen.page.goto(there.link("/workflows"))
        seen.page.add_init_script(PAINTED)
        counted = seen.page.context.new_cdp_session(seen.page)
        counted.send("Performance.enable", {"timeDomain": "threadTicks"})
        seen.page.goto(f"{there.site.gate.address}/runs/{run_id}")
        seen.page.wait_for_function("() => told.graph && told.timeline && told.events")
        told: dict[str, Any] = seen.page.evaluate("told")
        metrics = {each["name"]: each["value"] for each in counted.send("Performance.getMetrics")["metrics"]}
        longest, processor_ms = max(told["long"], default=0), metrics["TaskDuration"] * 1_000
        return Painting(told["graph"], told["timeline"], told["events"], longest, processor_ms)


def _thousand(browser: Browser, name: str, steps: list[StepDefinition], *, woven: bool = False) -> None:
    with world_of(steps) as (world, _):
        run_id = world.submit(run_id="thousand")
        world.carry()
        gateway = TimedGateway()
        with opened(gateway) as there:
            found = [painted(browser, there, run_id, woven=woven) for _ in range(VISITS)]
    for part in ("graph", "timeline", "events", "longest", "processor"):
        times = sorted(getattr(each, part) for each in found)
        _tell(f"{name}: {part}", f"{median(times):.0f} ms ({times[0]:.0f} to {times[-1]:.0f})")
    _tell(f"{name}: the functions' processor time", f"{gateway.took_s / VISITS * 1_000:.0f} ms a visit")


def _pages(stored: int) -> None:
    """What the list's pages ask of the table. Times would be those of the table in this process, which sorts."""
    with world_of(diamond()) as (world, store):
        fill(store, samples_of(world), stored, lambda _: None)
        with meter(store.client, store.table) as counting:
            cursor = ""
            for number in range(PAGES):
                counting.reset()
                cursor = _next(cursor)
                spent = Spent.on(counting.lines)
                _tell(
                    f"{stored:,} runs: page {number + 1}",
                    f"{spent.reads:.0f} reads, {spent.read_units:.0f} read units",
                )


def _next(cursor: str) -> str:
    """Asks for a page as the console does; where the next one begins."""
    asked = events.get(f"/runs?limit=100{cursor and f'&cursor={cursor}'}")
    answer = app(events.function_of(asked)).handler(asked, events.Context())
    body = base64.b64decode(answer["body"]) if answer.get("isBase64Encoded") else answer["body"].encode()
    packed = answer["headers"].get("content-encoding") == "gzip"
    return str(json.loads(gzip.decompress(body) if packed else body)["nextCursor"])


def _tell(what: str, how: str) -> None:
    sys.stdout.write(f"{what:44} {how:44} load {os.getloadavg()[0]:.1f}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure all of it."""
    logging.disable(logging.CRITICAL)
    wanted = sys.argv[1:] or ["steps", "runs"]
    with chromium() as browser:
        if "steps" in wanted:
            _thousand(browser, "1,000 steps in lines", lines())
            _thousand(browser, "1,000 steps, woven", lines(), woven=True)
            _thousand(browser, "1,000 steps, a fan", fan())
    for stored in STORED if "runs" in wanted else ():
        _pages(stored)


if __name__ == "__main__":
    main()
