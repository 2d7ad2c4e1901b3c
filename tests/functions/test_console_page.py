"""The console's page in a browser, before the real functions: what is seen, what is done from it, what it survives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

import browser as browsers
import events
from browser import Visit, visit
from cascade_flow import StepDefinition, WorkflowRegistration, clock
from cascade_flow.api import resources
from cascade_flow.authoring import discover
from cascade_flow.client import Client
from cascade_flow.console import Console, Wishes
from cascade_flow.dead_letters import DeadLetter
from cascade_flow.model.workflows import RunLimit, ScheduleDefinition, StepLimit
from cascade_flow.signing import StaticKeys
from console.showroom.day import Letters
from events.deployed import Functions, app
from functions.front_door import KEY, SECRET, Gateway, serving

pytestmark = [pytest.mark.servers("ministack"), pytest.mark.xdist_group("console")]

HOUR_US = 3_600_000_000
HOSTILE = "<img src=x onerror=alert(1)>\u202egpj\x1b[31m</script>"
SHOWN = "<img src=x onerror=alert(1)>⟨U+202E⟩gpj⟨ESC⟩[31m</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsers.chromium() as found:
        yield found


@dataclass
class Desk:
    """A console before these functions. Its stack can be away for a while."""

    functions: Functions
    console: Console
    addresses: list[str] = field(default_factory=list)
    up: ExitStack = field(default_factory=ExitStack)

    @property
    def address(self) -> str:
        return self.console.site.gate.address

    def start(self) -> None:
        self.addresses[:] = [self.up.enter_context(serving(Gateway()))]

    def stop(self) -> None:
        self.up.close()
        self.console.site.engine.close()  # a connection that is open would still be answered

    def enter(self, page: Page, path: str) -> None:
        page.goto(self.console.link(path))

    def runs(self, number: int, **wishes: Any) -> list[str]:
        return [self.functions.submit(**wishes) for _ in range(number)]


@contextmanager
def desk_of(functions: Functions, **wishes: Any) -> Iterator[Desk]:
    addresses: list[str] = []

    def client() -> Client:
        return Client(addresses[0], region="us-east-1", session=StaticKeys(KEY, SECRET))

    with Console(client, Wishes(port=0, about={"name": "this machine", "where": "local"}, **wishes)) as console:
        desk = Desk(functions, console, addresses)
        thread = Thread(target=console.serve)
        thread.start()
        with desk.up:
            desk.start()
            yield desk
        console.stop()
        thread.join()


@pytest.fixture
def desk(functions: Functions) -> Iterator[Desk]:
    with desk_of(functions) as desk:
        yield desk


@pytest.fixture
def seen(browser: Browser) -> Iterator[Visit]:
    with visit(browser) as visited:
        yield visited


def test_a_run_that_failed_is_put_right(desk: Desk, seen: Visit) -> None:
    page = seen.page
    desk.runs(2)
    [broken] = desk.runs(1, input={"weights": [1], "broken": True})
    desk.functions.work()
    desk.enter(page, "/runs")
    expect(page).to_have_url(f"{desk.address}/runs")
    expect(page.get_by_role("row")).to_have_count(4)
    page.get_by_role("button", name="1 failed").click()
    expect(page).to_have_url(f"{desk.address}/runs?status=failed")
    expect(page.get_by_role("row")).to_have_count(2)
    seen.accessible()

    page.get_by_role("link", name=broken).click()
    expect(page.get_by_text("The run failed in weigh")).to_be_visible()
    page.get_by_role("button", name="See the step").click()
    side = page.get_by_role("complementary", name="Step weigh")
    expect(side.get_by_text("the scales are broken").first).to_be_visible()
    expect(side.locator("pre .own", has_text="raise RuntimeError")).to_be_visible()
    seen.accessible()
    side.get_by_role("tab", name="Log").click()
    expect(side.get_by_text("WARNING weighing 1 parcels")).to_be_visible()

    page.get_by_role("button", name="Retry…").click()
    page.get_by_label("Reason, kept with the run").fill("the scales are mended")
    page.get_by_role("button", name="Retry the run").click()
    expect(page.locator(".run-facts")).to_contain_text("running")
    desk.functions.work()
    expect(page.locator(".run-facts")).to_contain_text("failed")
    expect(side.get_by_role("tab", name="Attempts")).to_contain_text("2")

    side.get_by_role("button", name="Rerun from here…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("4 run again")
    seen.accessible()
    dialog.get_by_role("button", name="as JSON").click()
    dialog.get_by_role("textbox").fill('{"weights": [1, 2], "broken": fal')
    expect(dialog.get_by_role("alert")).to_contain_text("this is no JSON")
    dialog.get_by_role("textbox").fill('{"weights": [1, 2], "broken": true}')
    dialog.get_by_role("button", name="as JSON").click()
    dialog.get_by_role("group", name="broken").get_by_label("no", exact=True).check()
    dialog.get_by_role("button", name="Rerun").click()
    expect(page.locator(".run-facts")).to_contain_text("reruns")
    desk.functions.work()
    expect(page.locator(".run-facts")).to_contain_text("completed")
    expect(page.locator(".node", has_text="bill")).to_be_visible()
    page.get_by_role("tab", name="Output").click()
    expect(page.locator(".json-tree")).to_contain_text("total")

    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("row").filter(has_text="weigh")).to_contain_text(re.compile("failed .2 → completed"))
    page.get_by_role("button", name="differs: see where").first.click()
    expect(page.get_by_role("dialog").get_by_role("row").filter(has_text="broken")).to_contain_text("truefalse")
    seen.accessible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="about $").click()
    expect(page.get_by_role("dialog").get_by_role("row").filter(has_text="at 512 MB")).to_contain_text("GB-s")
    page.keyboard.press("Escape")
    page.go_back()
    page.go_back()
    expect(page.get_by_role("heading", name=broken)).to_be_visible()


def test_an_approval_is_sent(bare: Functions, environment: pytest.MonkeyPatch, browser: Browser) -> None:
    environment.setenv("CASCADE_WORKFLOWS", "approvals")
    app("registration").handler({}, events.Context())
    with (
        resources.use(replace(bare.backend.runtime, callbacks_url="https://calls.example")),
        desk_of(bare) as desk,
        visit(browser, width=390, height=844, theme="dark") as seen,
    ):
        app("worker").worker.cache_clear()
        [run_id] = desk.runs(1, workflowSlug="approvals", input=None)
        bare.work()
        desk.enter(seen.page, f"/runs/{run_id}?step=approval")
        side = seen.page.get_by_role("complementary", name="Step approval")
        expect(side).to_contain_text("waits to be sent, until 59 m from now: then it is skipped")
        side.get_by_role("button", name="Send…").click()
        dialog = seen.page.get_by_role("dialog")
        expect(dialog.get_by_role("button", name="Send", exact=True)).to_be_disabled()
        dialog.get_by_role("group", name="ok").get_by_label("no", exact=True).check()
        dialog.get_by_role("textbox", name="why").fill(HOSTILE)
        seen.accessible()
        dialog.get_by_role("button", name="Send", exact=True).click()
        expect(side).to_contain_text("just now")
        side.get_by_role("tab", name="Output").click()
        expect(side.locator(".json-tree")).to_contain_text(SHOWN)
        seen.fits()
        bare.work()
        expect(seen.page.locator(".run-facts")).to_contain_text("completed")
        assert bare.backend.load_events("approvals", run_id, step_id="ship", types=["StepCompleted"])


def test_a_map_leads_into_its_runs(bare: Functions, environment: pytest.MonkeyPatch, seen: Visit) -> None:
    environment.setenv("CASCADE_WORKFLOWS", "growing")
    app("registration").handler({}, events.Context())
    app("worker").worker.cache_clear()
    with desk_of(bare) as desk:
        [run_id] = desk.runs(1, workflowSlug="orders", input={"skus": ["a", "gone"]})
        bare.work()
        desk.enter(seen.page, f"/runs/{run_id}?step=pack/all")
        side = seen.page.get_by_role("complementary")
        side.get_by_role("tab", name="Items").click()
        expect(side.get_by_role("listitem")).to_have_count(2)
        side.get_by_label("State of the runs").select_option("failed")
        expect(side.get_by_role("listitem")).to_contain_text("ValueError: no stock")
        seen.accessible()
        side.get_by_role("link", name="1", exact=True).click()
        expect(seen.page.locator(".run-facts")).to_contain_text(f"does number 1 ofpack/all in {run_id}")


def test_many_are_cancelled_and_the_progress_told(desk: Desk, seen: Visit) -> None:
    page = seen.page
    desk.runs(7, tags=["nightly"])
    desk.runs(1)
    desk.enter(page, "/runs?tag=nightly")
    expect(page.get_by_role("row")).to_have_count(8)
    boxes = page.get_by_role("checkbox", name=re.compile("Select run"))
    boxes.nth(0).click()
    boxes.nth(2).click(modifiers=["Shift"])
    bar = page.get_by_role("region", name="Selected runs")
    expect(bar).to_contain_text("3 selected")
    bar.get_by_role("button", name="Cancel…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel 3 runs").click()
    expect(dialog.get_by_role("status")).to_have_text("3 runs cancelled.")
    dialog.get_by_role("button", name="Close", exact=True).last.click()

    boxes.nth(6).click()
    bar.get_by_role("button", name="Cancel…").click()
    dialog.get_by_role("radio", name="Every run that passes the filter").check()
    dialog.get_by_role("button", name="Cancel all").click()
    expect(dialog.get_by_role("status")).to_have_text("4 runs cancelled.")
    states = [run.status for run in desk.functions.backend.list_runs().runs]
    assert sorted(states) == ["cancelled"] * 7 + ["running"]


@pytest.mark.parametrize("path", ["/runs", "/run", "/workflows", "/workflows/parcels", "/health"])
def test_each_page_is_for_everybody(desk: Desk, browser: Browser, path: str) -> None:
    """Dark and narrow; the other tests are light and wide."""
    [run_id] = desk.runs(1)
    desk.functions.work()
    with visit(browser, width=390, height=844, theme="dark") as seen:
        desk.enter(seen.page, f"/runs/{run_id}?step=weigh" if path == "/run" else path)
        expect(seen.page.get_by_role("main").get_by_role("heading").first).to_be_visible()
        expect(seen.page.get_by_text("…", exact=False).and_(seen.page.locator(".loading"))).to_have_count(0)
        seen.accessible()
        seen.fits()


def test_keys_are_enough(desk: Desk, seen: Visit) -> None:
    page = seen.page
    [older, newer] = desk.runs(2)
    desk.functions.work()
    desk.enter(page, "/health")
    expect(page.get_by_role("heading", name="Health")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("go to the runs")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    for key in "gr":
        page.keyboard.press(key)
    expect(page.get_by_role("row")).to_have_count(3)
    for key in ("j", "x", "j"):
        page.keyboard.press(key)
    expect(page.get_by_role("region", name="Selected runs")).to_contain_text("1 selected")
    expect(page.get_by_role("link", name=older)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{desk.address}/runs/{older}")
    timeline = page.get_by_role("group", name="Timeline of the steps")
    timeline.press("+")
    page.wait_for_function("box => box.scrollWidth > box.clientWidth", arg=timeline.element_handle())
    page.locator(".node", has_text="weigh").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".node:focus")).to_have_attribute("data-step", re.compile("price/"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary")).to_be_visible()
    page.keyboard.press("t")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary")).to_have_count(0)
    assert newer != older


def test_a_workflow_is_read_run_and_put_on_hold(desk: Desk, seen: Visit) -> None:
    page, backend = seen.page, desk.functions.backend
    [earlier] = desk.runs(1, input={"weights": [7], "insured": False})
    desk.functions.work()
    parcels = discover("parcels")["parcels"].registration()
    nightly = ScheduleDefinition(name="nightly", cron="0 3 * * *", input={"weights": [1]})
    bank = StepLimit(name="bank", at_most=2)
    steps = [step.model_copy(update={"limit": bank}) if step.id == "bill" else step for step in parcels.steps]
    changed = {"steps": steps, "version_id": "sha256:2", "schedules": [nightly]}
    backend.register_workflow(parcels.model_copy(update=changed))
    desk.enter(page, "/workflows")
    expect(page.locator(".card")).to_contain_text("A workflow for the functions' tests")
    page.get_by_role("link", name="Parcels").click()
    expect(page.locator(".change")).to_contain_text("bill")
    expect(page.locator(".change")).to_contain_text("none → name bank, at most 2")
    expect(page.locator(".limits")).to_contain_text("0 of 2 taken, nobody waits")
    page.get_by_role("button", name="Pause nightly").click()
    expect(page.locator(".schedules")).to_contain_text("not until it is resumed")
    page.get_by_role("button", name="Resume nightly").click()
    expect(page.locator(".schedules")).to_contain_text("03:00")
    page.locator(".node", has_text="bill").click()
    expect(page.get_by_role("region", name="Step bill")).to_contain_text("bank: 2 at once")
    page.get_by_label("Begin with the input of").select_option(earlier)
    expect(page.get_by_role("radio", name="no").last).to_be_checked()
    page.get_by_text("Tags, key").click()
    page.get_by_label("Idempotency key").fill("once")
    seen.accessible()
    page.get_by_role("button", name="Run it").click()
    expect(page.locator(".run-facts")).to_be_visible()
    newest = page.url.rpartition("/")[2]
    page.go_back()
    page.get_by_label("Begin with the input of").select_option(earlier)
    page.get_by_text("Tags, key").click()
    page.get_by_label("Idempotency key").fill("once")
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_text("this key was used before")).to_be_visible()
    assert [run.run_id for run in backend.list_runs().runs] == [newest, earlier]


def test_a_run_that_has_not_begun_says_what_it_waits_for(desk: Desk, seen: Visit) -> None:
    backend = desk.functions.backend
    single = discover("parcels")["parcels"].registration().model_copy(update={"run_limit": RunLimit(at_most=1)})
    backend.register_workflow(single.model_copy(update={"version_id": "sha256:2"}))
    [_, waits] = desk.runs(2)
    [later] = desk.runs(1, availableAtUs=clock.now_us() + HOUR_US)
    desk.enter(seen.page, "/workflows")
    expect(seen.page.locator(".card")).to_contain_text("1 run at once")
    seen.page.get_by_role("link", name="Parcels").click()
    expect(seen.page.locator(".workflow-head")).to_contain_text("1 run at once: more wait")
    desk.enter(seen.page, f"/runs/{waits}")
    standing = seen.page.locator(".findings")
    expect(standing).to_contain_text(
        "waits the run waits for another run of 'parcels' to end (1 of 1 go on, 0 before it)"
    )
    desk.enter(seen.page, f"/runs/{later}")
    expect(standing).to_contain_text("the run is delayed until")
    seen.accessible()


def test_health_leads_to_what_is_behind_its_numbers(desk: Desk, seen: Visit) -> None:
    page, letters = seen.page, Letters([DeadLetter("m-1", "r-1", "no wake-up", 1, 5)])
    desk.runs(2)
    [broken] = desk.runs(1, input={"weights": [1], "broken": True})
    desk.functions.work()
    with resources.use(replace(resources.runtime(), dead_letters=letters)):
        desk.enter(page, "/health?since=1h")
        expect(page.locator(".number", has_text="success")).to_contain_text("66.7 %")
        page.get_by_text("RuntimeError").click()
        expect(page.locator(".occurrences")).to_contain_text(broken)
        expect(page.locator(".error-detail .own", has_text="raise RuntimeError")).to_be_visible()
        weigh = page.get_by_role("row").filter(has=page.get_by_role("link", name="weigh"))
        expect(weigh.get_by_role("cell")).to_contain_text(["3", "1"])
        page.get_by_role("button", name="Redrive…").click()
        page.get_by_role("button", name="Redrive", exact=True).click()
        expect(page.get_by_role("dialog")).to_contain_text("1 message put back into the queue, none left.")
        page.get_by_role("dialog").get_by_role("button", name="Close", exact=True).last.click()
        expect(page.get_by_role("heading", name="There are no dead letters")).to_be_visible()
        seen.accessible()
    page.keyboard.press("[")
    expect(page).to_have_url(f"{desk.address}/health?since=15m")
    page.get_by_role("group", name="Runs that ended").focus()
    page.keyboard.press("End")
    expect(page.locator(".chart-told").first).to_contain_text("2 completed, 1 failed")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/runs\?from=\d+&until=\d+"))
    page.get_by_role("button", name="1 failed").click()
    expect(page.get_by_role("link", name=broken)).to_be_visible()


def test_what_is_hostile_is_text(desk: Desk, seen: Visit) -> None:
    page = seen.page
    [run_id] = desk.runs(1, tags=[HOSTILE], metadata={HOSTILE: HOSTILE}, input={"weights": [1], "broken": True})
    desk.functions.work()
    desk.enter(page, "/runs?tag=%3Cb%3E")
    expect(page.get_by_role("heading", name="No run passes this filter")).to_be_visible()
    page.get_by_role("button", name="Clear all filters").last.click()
    expect(page.locator(".cell-tags .chip")).to_have_text(SHOWN)
    page.get_by_role("link", name=run_id).click()
    expect(page.locator(".run-facts .chip")).to_have_text(SHOWN)
    page.get_by_role("button", name="RunSubmitted").click()
    expect(page.locator(".event .json-tree")).to_contain_text(SHOWN)
    assert page.locator("main img, main script").count() == 0


def test_ten_megabytes_are_shown_in_parts_and_handed_over_whole(desk: Desk, seen: Visit) -> None:
    page = seen.page
    text, items = HOSTILE + "x" * 5_000_000, [f"{HOSTILE} {number}" for number in range(80_000)]
    output = {"id": 2**63, "text": text, "items": items}
    [run_id] = desk.runs(1)
    desk.functions.work()

    def grown(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=json.dumps({**answer.json(), "output": output}))

    page.route(re.compile(rf"/api/runs/{run_id}/steps/bill$"), grown)
    desk.enter(page, f"/runs/{run_id}?step=bill")
    side = page.get_by_role("complementary")
    tree = side.locator(".json-tree")
    expect(tree).to_contain_text(f'id: {2**63}text: "{SHOWN}xxx')
    expect(side.get_by_role("button", name="80,000 items")).to_be_visible()
    assert len(tree.inner_text()) < 2_000
    side.get_by_role("button", name="more characters").click()
    expect(side.get_by_role("button", name="more characters")).to_contain_text(f"{len(text) - 50_400:,}")
    side.get_by_role("button", name="80,000 items").click()
    expect(side.get_by_role("button", name="79,900 more")).to_be_visible()
    expect(tree).to_contain_text(f'99: "{SHOWN} 99"')
    assert page.locator("*").count() < 2_000
    assert page.locator("main img, main script").count() == 0

    with page.expect_download() as begun:
        side.get_by_role("button", name="Download").click()
    assert json.loads(begun.value.path().read_text(encoding="utf-8")) == output
    side.get_by_role("button", name="Copy", exact=True).click()
    expect(side.get_by_role("button", name="Copied")).to_be_visible()
    assert json.loads(page.evaluate("() => navigator.clipboard.readText()")) == output


def test_what_is_hostile_in_names_logs_and_errors_is_text(bare: Functions, seen: Visit) -> None:
    steps = [StepDefinition(id="a", name=HOSTILE)]
    bare.backend.register_workflow(WorkflowRegistration(slug="odd", name=HOSTILE, steps=steps))
    worker = {"workerId": HOSTILE, "attemptNumber": 1}
    with desk_of(bare) as desk:
        [run_id] = desk.runs(1, workflowSlug="odd", input=None)
        bare.asked(events.post("/steps/claim", {"workerId": HOSTILE, "runId": run_id, "stepId": "a"}))
        lines = [{"stream": "stdout", "message": f"ERROR {HOSTILE}"}]
        assert bare.asked(events.post(f"/runs/{run_id}/steps/a/logs", {**worker, "lines": lines})).status < 300
        error = {"name": HOSTILE, "message": HOSTILE, "stack": f"Traceback:\n{HOSTILE}"}
        failed = {**worker, "error": error, "retryable": False}
        assert bare.asked(events.post(f"/runs/{run_id}/steps/a/fail", failed)).status < 300
        desk.enter(seen.page, f"/runs/{run_id}?step=a")
        side = seen.page.get_by_role("complementary")
        expect(seen.page.locator(".node-name")).to_have_text(SHOWN)
        expect(side.locator(".error-line")).to_have_text(f"{SHOWN} {SHOWN}")
        expect(side.get_by_label("Traceback")).to_contain_text(SHOWN)
        expect(side.locator("code").first).to_have_text(SHOWN)
        side.get_by_role("tab", name="Log").click()
        expect(side.get_by_role("log")).to_contain_text(f"ERROR {SHOWN}")
        assert seen.page.locator("main img, main script").count() == 0
        desk.enter(seen.page, "/workflows/odd")
        expect(seen.page.get_by_role("heading", level=1)).to_have_text(SHOWN)


def test_a_stack_that_dies_is_told_and_comes_back(desk: Desk, seen: Visit) -> None:
    page = seen.page
    [run_id] = desk.runs(1)
    desk.enter(page, f"/runs/{run_id}")
    expect(page.get_by_role("heading", name=run_id)).to_be_visible()
    desk.stop()
    expect(page.get_by_role("alert").first).to_contain_text("This may be old")
    expect(page.get_by_role("heading", name=run_id)).to_be_visible()
    desk.start()
    page.get_by_role("alert").first.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("This may be old")).to_have_count(0)


def test_read_only_offers_nothing(functions: Functions, seen: Visit) -> None:
    with desk_of(functions, read_only=True) as desk:
        [run_id] = desk.runs(1)
        desk.enter(seen.page, f"/runs/{run_id}")
        expect(seen.page.get_by_text("read only")).to_be_visible()
        expect(seen.page.get_by_role("button", name="Cancel…")).to_be_disabled()
        seen.page.keyboard.press("g")
        seen.page.keyboard.press("w")
        seen.page.get_by_role("link", name="Parcels").click()
        expect(seen.page.get_by_role("button", name="Run it")).to_be_disabled()


def test_without_the_link_nothing_is_seen(desk: Desk, seen: Visit) -> None:
    seen.page.goto(f"{desk.address}/runs")
    expect(seen.page.get_by_role("heading", name="This page opens with its link")).to_be_visible()


def test_a_history_that_was_on_its_way_while_its_run_ended_is_asked_for_again(desk: Desk, seen: Visit) -> None:
    page, held = seen.page, list[tuple[Route, APIResponse]]()
    [run_id] = desk.runs(1)

    def holding(route: Route) -> None:
        if held:
            route.fallback()
        else:
            held.append((route, route.fetch()))

    page.route(re.compile(rf"/api/runs/{run_id}/events"), holding)
    desk.enter(page, f"/runs/{run_id}")
    expect(page.locator(".run-facts")).to_contain_text("running")
    desk.functions.work()
    expect(page.locator(".run-facts")).to_contain_text("completed")
    [(route, answer)] = held
    route.fulfill(response=answer)
    expect(page.get_by_role("button", name="WorkflowCompleted")).to_be_visible()


def test_it_asks_seldom_and_hidden_not_at_all(desk: Desk, seen: Visit) -> None:
    page, asked = seen.page, []
    [run_id] = desk.runs(1)
    page.clock.install()
    desk.enter(page, f"/runs/{run_id}")
    expect(page.get_by_role("heading", name=run_id)).to_be_visible()
    expect(page.get_by_role("button", name="RunSubmitted")).to_be_visible()
    page.on("request", lambda request: asked.append(request.url) if f"/api/runs/{run_id}?" in request.url else None)
    for _ in range(5):
        with page.expect_response(lambda answer: f"/api/runs/{run_id}?" in answer.url):
            page.clock.run_for(2_000)
    assert len(asked) == 5
    page.evaluate("Object.defineProperty(document, 'visibilityState', {get: () => 'hidden', configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    asked.clear()
    page.clock.run_for(60_000)
    assert asked == []


def test_a_thousand_steps_stay_usable(desk: Desk, seen: Visit) -> None:
    page = seen.page
    [run_id] = desk.runs(1)
    desk.functions.work()

    def widened(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        told["steps"] = list(_thousand(told["steps"][0]))
        route.fulfill(response=answer, body=json.dumps(told))

    page.route(re.compile(rf"/api/runs/{run_id}\?"), widened)
    desk.enter(page, f"/runs/{run_id}")
    folded = page.locator(".node.is-folded")
    expect(folded).to_contain_text("998 steps alike")
    folded.click()
    expect(page.locator(".node").first).to_be_visible()
    assert page.locator(".node").count() < 100
    assert page.locator("*").count() < 3_000, "what is not in sight is not drawn"
    page.get_by_role("group", name="Graph of the steps").get_by_role("button").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".node:focus")).to_be_visible()


def _thousand(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A step, 998 that wait for it, and one that waits for them."""
    names = [f"part-{number}" for number in range(998)]
    yield {**step, "stepId": "list", "name": "list", "dependencies": []}
    for name in names:
        yield {**step, "stepId": name, "name": name, "dependencies": ["list"]}
    yield {**step, "stepId": "sum", "name": "sum", "dependencies": names}
