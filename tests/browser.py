"""A browser for tests of the console: Debian's Chromium, driven by Playwright; what its pages complain of is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from node import modules

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "no Chromium is here to look at the console with: apt-get install chromium"
EXPECTED = "Failed to load resource"
"""What Chromium says of every answer that is a refusal; whether the page told of it is the test's to ask."""
PATIENCE_MS = 60_000
AT_REST = """
async () => {
  const ends = (each) => each.effect.getComputedTiming().iterations !== Infinity;
  await Promise.allSettled(document.getAnimations().filter(ends).map((each) => each.finished));
}
"""

expect.set_options(timeout=PATIENCE_MS)


@dataclass(frozen=True)
class Visit:
    """A page, and what its console has complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def accessible(self) -> None:
        """Holds what is shown against axe's rules, once what moves has come to rest."""
        self.page.evaluate(AT_REST)
        self.page.evaluate((modules() / "axe-core/axe.min.js").read_text(encoding="utf-8"))
        found: list[dict[str, Any]] = self.page.evaluate("async () => (await axe.run()).violations")
        told = [
            f"{each['id']}: {node['html'][:200]} {node['failureSummary']}" for each in found for node in each["nodes"]
        ]
        assert not told, "\n".join(told)

    def fits(self) -> None:
        """Nothing is wider than the window."""
        assert self.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@contextmanager
def chromium() -> Iterator[Browser]:
    """Raises pytest's skip where there is none; in CI, its failure."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visit(
    browser: Browser, *, width: int = 1280, height: int = 860, theme: Literal["light", "dark"] = "light"
) -> Iterator[Visit]:
    """A fresh profile. When it ends well, no page of it has complained of anything, or asked with a box of its own."""
    with browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme) as context:
        context.set_default_timeout(PATIENCE_MS)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        visited = Visit(context.new_page())
        visited.page.on("console", lambda message: _keep(visited, message))
        visited.page.on("pageerror", lambda error: visited.complaints.append(str(error)))
        visited.page.on("dialog", lambda dialog: visited.complaints.append(f"a box: {dialog.message}"))
        yield visited
        assert visited.complaints == []


def _keep(visited: Visit, message: ConsoleMessage) -> None:
    if message.type in ("error", "warning") and EXPECTED not in message.text:
        visited.complaints.append(f"{message.type}: {message.text}")
