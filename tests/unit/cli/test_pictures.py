"""What a person sees: the tree of a run and the tables, from fixed runs, in narrow and in wide terminals."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from cascade_flow.cli import event_texts, tables
from cascade_flow.cli.outcome import outcome
from cascade_flow.cli.progress import picture
from cascade_flow.cli.screen import Screen
from cascade_flow.cli.target import Target
from cascade_flow.cli.views import RunView
from cascade_flow.cli.watching import changes
from unit.cli import documents
from unit.cli.documents import BUSY, CANCELLED, DONE, EVENTS, FAILED, LONG, NOW_US, RUN_ID, WIDE

NARROW, BROAD = 80, 140


def view(document: dict[str, Any]) -> RunView:
    return RunView(document, NOW_US)


def tree(document: dict[str, Any], *, width: int = NARROW, height: int = 50) -> list[str]:
    return picture(view(document), width=width, height=height, moving=False).plain.splitlines()


def printed(*parts: RenderableType, width: int = NARROW) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False, markup=False)
    for part in parts:
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_a_tree_tells_each_step_apart() -> None:
    assert tree(BUSY) == [
        "● mishaps  00c0ffee00c0ffee  running  12 s",
        "├─ ↻ unreliable              attempt 3 of 4, next retry in 3 s",
        "│    ConnectionError: the other side hung up on attempt 2 …",
        "├─ ● slow            400 ms  attempt 2 of 2",
        "├─ ⊘ voucher                 skipped: no voucher was given",
        "│  ⊘ discount                skipped with voucher",
        "├─ ● long_haul        3.4 s  attempt 2 of 3, the worker before it was lost",
        "├─ ✓ quick            3.4 s  attempt 2 of 3",
        "└─ ◌ next                    queued",
        "○ report",
    ]


def test_a_wide_terminal_has_room_for_the_error_beside_the_step() -> None:
    expected = "attempt 3 of 4, next retry in 3 s: ConnectionError: the other side hung up on attempt 2 …"
    assert tree(BUSY, width=BROAD)[1] == f"├─ ↻ unreliable              {expected}"


def test_what_runs_turns() -> None:
    moments = [RunView(BUSY, NOW_US + ms * 1_000) for ms in (0, 80)]
    signs = {picture(moment, width=NARROW, height=50, moving=True).plain[0] for moment in moments}
    assert len(signs) == 2


def test_a_wide_fan_out_is_collapsed() -> None:
    lines = tree(WIDE)
    assert len(lines) == 13
    assert lines[-2] == "└─ … 91 more: 8 running, 3 queued, 80 completed"


def test_a_long_run_fits_the_terminal() -> None:
    lines = tree(LONG, height=14)
    assert len(lines) <= 14
    assert lines[1] == "… 30 more: 30 completed"
    assert lines[2].startswith("● s30")


@pytest.mark.parametrize("document", [BUSY, DONE, FAILED, CANCELLED, WIDE, LONG])
@pytest.mark.parametrize("width", [40, NARROW, BROAD])
def test_no_line_is_wider_than_the_terminal(document: dict[str, Any], width: int) -> None:
    assert all(len(line) <= max(width, 62) for line in tree(document, width=width))


def test_after_the_end_nothing_waits() -> None:
    assert tree(FAILED)[-1] == "○ chart"
    assert "stopped" in tree(CANCELLED)[1]


def test_long_ids_are_never_cut() -> None:
    long_id = "group/" + "x" * 90
    document = documents.document(documents.step(long_id, status="running", startedAtUs=NOW_US))
    assert long_id in "\n".join(tree(document))
    shown = printed(tables.steps(view(document).steps)).replace("\n", "")
    assert shown.count("x") == 90


def test_changes_are_a_line_each() -> None:
    before = documents.document(documents.step("a", status="running"), documents.step("b", "a"))
    after = documents.document(
        documents.step("a", status="completed", durationUs=400_000), documents.step("b", "a", status="running")
    )
    told = [line.partition("  ")[2] for line in changes(view(before), view(after))]
    assert told == ["a: completed after 400 ms", "b: running"]
    assert list(changes(view(after), view(after))) == []


def test_the_first_and_the_last_line_name_the_run() -> None:
    first, *_, last = changes(None, view(DONE))
    assert first.endswith(f"run {RUN_ID} of mishaps: completed")
    assert last.endswith(f"run {RUN_ID} of mishaps: completed in 12 s")


def test_an_outcome_shows_small_outputs_and_names_large_ones() -> None:
    shown = printed(outcome(view(DONE), Target(stack="prod")))
    assert "4.0 kB of SVG" in shown
    assert f"cascade show {RUN_ID} --output chart --stack prod > chart.svg" in shown
    assert '"days": 1461' in shown
    assert "<svg" not in shown


def test_a_failure_says_where_why_and_what_next() -> None:
    shown = printed(outcome(view(FAILED), Target()))
    assert "failed in step check (step-failed)" in shown
    assert "ValueError: no such row" in shown
    assert "line 3, in check" in shown
    assert f"cascade logs {RUN_ID} check" in shown


def test_a_cancelled_run_says_why() -> None:
    assert "cancelled: wrong input" in printed(outcome(view(CANCELLED), Target()))


@pytest.mark.parametrize("width", [NARROW, BROAD])
def test_tables_fit_and_keep_ids_whole(width: int) -> None:
    shown = printed(
        tables.about_run(view(DONE)),
        tables.steps(view(BUSY).steps),
        tables.runs([DONE["run"], FAILED["run"]], now_us=NOW_US),
        tables.workflows([documents.WORKFLOW]),
        tables.definitions(documents.WORKFLOW["steps"]),
        width=width,
    )
    assert all(len(line) <= width for line in shown.splitlines())
    for whole in (RUN_ID, documents.VERSION.removeprefix("sha256:"), "unreliable", "long_haul", "workflows.mishaps"):
        assert whole in shown


def test_who_carries_a_step_out_is_told() -> None:
    assert "for pool printer, exported" in printed(tables.definitions(documents.WORKFLOW["steps"]), width=BROAD)
    assert "waits for a worker of pool printer" in printed(tables.steps(view(BUSY).steps), width=BROAD)


def test_a_workflow_says_how_many_of_its_runs_go_on_at_once() -> None:
    limits = [{"atMost": 5, "skips": False}, {"atMost": 1, "key": "shop_id", "skips": True}]
    limited = [{**documents.WORKFLOW, "runLimit": limit} for limit in limits]
    shown = printed(tables.workflows([documents.WORKFLOW, *limited]), width=BROAD)
    assert "go on at once" in shown
    assert "1 for each shop_id, a further one is that one" in shown
    assert "go on at once" not in printed(tables.workflows([documents.WORKFLOW]))


def test_an_inputs_fields_are_listed() -> None:
    fields = tables.fields(documents.WORKFLOW["inputSchemaJSON"])
    assert fields is not None
    shown = printed(fields)
    assert "string or null" in shown
    assert "required" in shown
    assert tables.fields({"type": "integer"}) is None
    assert tables.fields(None) is None


def test_each_event_is_said_in_words() -> None:
    said = [event_texts.sentence(event) for event in EVENTS]
    assert said == [
        'input {"a": 1}',
        "the input fits",
        "",
        "attempt 1",
        "attempt 1 by worker-1",
        "attempt 1 by worker-1",
        "leg 2",
        "[bold]not markup[/bold]",
        "attempt 1, after 9 ms (execution-error): ValueError: no such row",
        "attempt 2 follows",
        said[10],
        "attempt 2 taken from worker-1, which was silent for 7.0 s",
        "attempt 3, after 9 ms",
        "with check",
        "after <1 ms, enough",
        '{"workflowAttemptNumber": 2, "previousAttemptNumber": 1, "retriedSteps": ["check"]}',
    ]
    assert said[10].startswith("attempt 2, retry, due ")


FAILING = documents.document(
    documents.step("read", status="completed", durationUs=13_000),
    documents.step("check", "read", status="failed", durationUs=9_000, error=documents.error("ValueError", "no")),
    documents.step("long_haul", "read", status="running", startedAtUs=NOW_US - 400_000),
    documents.step("chart", "check", "long_haul"),
)
FAILING_SAID = "failing: check failed, and the run ends when long_haul is done"


def test_a_run_that_is_failing_says_so_and_what_it_waits_for() -> None:
    assert tree(FAILING)[1] == FAILING_SAID
    assert FAILING_SAID in printed(tables.about_run(view(FAILING)))
    assert [line for line in changes(None, view(FAILING)) if line.endswith(FAILING_SAID)]
    assert not [line for line in changes(view(FAILING), view(FAILING)) if "failing" in line]
    for document in (BUSY, DONE, FAILED, CANCELLED):
        assert "failing" not in printed(tables.about_run(view(document)))


@pytest.mark.parametrize("width", [40, 60, NARROW, 200])
@pytest.mark.parametrize("run_id", [RUN_ID, "00000000-1111-2222-3333-444444444444", "r" * 100])
def test_a_runs_id_is_never_broken(
    width: int, run_id: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    named = [{**each, "run": {**each["run"], "runId": run_id}} for each in (DONE, FAILED, FAILING, CANCELLED)]
    screen = Screen(as_json=False, out=Console(width=width, highlight=False, markup=False, force_terminal=True))
    shown = [tables.runs([each["run"] for each in named], now_us=NOW_US)]
    for each in map(view, named):
        screen.show(tables.about_run(each), *([outcome(each, Target(stack="production"))] if each.is_over else []))
    screen.show(*shown)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.count(run_id) for line in lines) >= 12
    assert run_id not in "\n".join(lines).replace(run_id, "").replace("\n", "")


def test_a_list_of_runs_fits_sixty_columns() -> None:
    shown = printed(
        tables.runs([DONE["run"], {**FAILED["run"], "workflowSlug": "seattle-weather"}], now_us=NOW_US), width=60
    )
    assert all(len(line) <= 60 for line in shown.splitlines())
    assert shown.count(RUN_ID) == 2


def test_a_traceback_is_shown_whole_with_files_as_they_lie_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cascade.toml").write_text('stack = "mine"\npackage = "workflows"\nfolder = "examples"\n')
    (tmp_path / "examples" / "workflows").mkdir(parents=True)
    (tmp_path / "examples" / "workflows" / "shop.py").touch()
    monkeypatch.chdir(tmp_path)
    frames = [f'  File "workflows/shop.py", line {n}, in f{n}\n    f{n + 1}()' for n in range(30)]
    stack = "\n".join(
        ["Traceback (most recent call last):", *frames, '  File "lib/x.py", line 1, in g', "shop.Bad: a\nb"]
    )
    error = {"name": "Bad", "message": "a\nb", "stack": stack, "failedStep": "check", "failureReason": "step-failed"}
    shown = printed(outcome(view({**FAILED, "error": error}), Target()))
    assert shown.count('File "examples/workflows/shop.py"') == 30
    assert 'File "lib/x.py", line 1, in g' in shown
    assert shown.count("Bad: a") == 1
    assert "  shop.Bad: a\n  b\n" in shown


MINUTE_US = 60_000_000
WAITS = documents.document(
    documents.step("remind", status="scheduled", availableAtUs=NOW_US + 55 * MINUTE_US, delayUs=60 * MINUTE_US),
    documents.step("soon", status="scheduled", availableAtUs=NOW_US + 40_000_000, delayUs=MINUTE_US),
    documents.step(
        "ask",
        status="scheduled",
        attemptNumber=3,
        laters=2,
        laterReason="no invoice yet",
        availableAtUs=NOW_US + 5 * MINUTE_US,
    ),
    documents.step("asks", status="running", attemptNumber=3, laters=2, startedAtUs=NOW_US - 400_000),
    documents.step("due", status="scheduled", attemptNumber=2, laters=1, laterReason="no", availableAtUs=NOW_US - 1),
)


def clock_of(us: int) -> str:
    return f"{datetime.fromtimestamp((NOW_US + us) / 1_000_000).astimezone():%H:%M}"


def test_a_tree_says_until_when_a_step_waits_and_why() -> None:
    ask = f"no invoice yet: asks again at {clock_of(5 * MINUTE_US)} (in 5 min), 3rd time"
    assert tree(WAITS, width=BROAD)[1:] == [
        f"├─ ○ remind              starts at {clock_of(55 * MINUTE_US)} (in 55 min)",
        "├─ ○ soon                starts in 40 s",
        f"├─ ◔ ask                 {ask}",
        "├─ ● asks        400 ms",
        "└─ ◌ due                 queued",
    ]
    table = printed(tables.steps(view(WAITS).steps), width=BROAD)
    assert ask in table
    assert "1 of 3" in table
    assert "3 of 3" not in table, "who was not ready has used no try"


def test_who_watches_is_told_of_each_time_that_a_step_was_not_ready() -> None:
    told = "\n".join(changes(None, view(WAITS)))
    assert f"ask: not ready: no invoice yet: asks again at {clock_of(5 * MINUTE_US)} (in 5 min), 3rd time" in told


def test_a_declared_wait_is_told_with_the_step() -> None:
    declared = {"stepId": "ask", "delayUs": 60 * MINUTE_US, "pollEveryUs": 30_000_000, "giveUpAfterUs": 120 * MINUTE_US}
    assert "starts 1 h later, asks every 30 s for 2 h" in printed(tables.definitions([declared]), width=BROAD)
