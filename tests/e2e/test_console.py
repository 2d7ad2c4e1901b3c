"""`cascade console` before the deployed stack: a run is started, fails and is tried again from the page, live."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import expect

from browser import chromium, visit
from cascade_flow import StepFailed, WorkflowRetryStarted
from e2e.stack import Stack, of_kind


@contextmanager
def console(stack: Stack) -> Iterator[str]:
    """The link that the command tells; Ctrl-C ends it."""
    command = [sys.executable, "-m", "cascade_flow.cli", "console", "--no-open", "--json"]
    with subprocess.Popen(command, cwd=stack.project.root, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.send_signal(signal.SIGINT)


def test_a_run_fails_and_is_tried_again_from_the_page(stack: Stack) -> None:
    with console(stack) as link, chromium() as browser, visit(browser) as seen:
        page = seen.page
        page.goto(link)
        page.get_by_role("link", name="Workflows").click()
        workflow = page.locator("a[href='/workflows/doomed']")
        expect(workflow).to_be_visible()
        workflow.click()
        page.get_by_role("button", name="Run it").click()
        expect(page.locator(".run-facts")).to_contain_text("failed")
        run_id = page.url.rpartition("/")[2]
        page.locator(".node", has_text="draw").click()
        expect(page.get_by_role("complementary").get_by_text("the well is dry").first).to_be_visible()
        expect(page.get_by_role("complementary").get_by_role("heading", name="Attempt")).to_have_count(3)
        seen.accessible()
        page.get_by_role("button", name="Retry…").click()
        page.get_by_label("Reason, kept with the run").fill("it has rained")
        page.get_by_role("button", name="Retry the run").click()
        expect(page.get_by_role("complementary").get_by_role("heading", name="Attempt")).to_have_count(6)
        page.get_by_role("link", name="Runs", exact=True).first.click()
        expect(page.get_by_role("row").filter(has_text=run_id)).to_contain_text("failed")
        seen.accessible()
    checked = stack.finished(run_id, "failed")
    assert [event.reason for event in of_kind(checked, WorkflowRetryStarted)] == ["it has rained"]
    assert len(of_kind(checked, StepFailed)) == 6
