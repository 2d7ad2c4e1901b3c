"""The commands over real HTTP: what they ask for, what they print, how they exit, and that --json is JSON."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cascade_flow import clock
from cascade_flow.cli import exits, watching
from cascade_flow.cli.app import run
from unit.cli.conftest import Api, Done, problem
from unit.cli.documents import BUSY, BUSY_ID, DONE, EVENTS, FAILED, LINES, RUN_ID, SVG, WORKFLOW, event

Cascade = Callable[..., Done]


@pytest.fixture(autouse=True)
def no_waiting() -> Any:
    """Waiting moves the clock and takes no time."""
    with clock.use(clock.SteppingClock(1_795_371_900_000_000)) as stepping:
        yield stepping


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["workflows"], [WORKFLOW]),
        (["workflows", "mishaps"], WORKFLOW),
        (["run", "mishaps"], {"runId": RUN_ID, "isNew": True}),
        (["run", "mishaps", "--watch"], DONE),
        (["runs"], {"runs": [DONE["run"], FAILED["run"]]}),
        (["show", RUN_ID], DONE),
        (["show", RUN_ID, "--watch"], DONE),
        (["show", RUN_ID, "--output", "chart"], SVG),
        (["cancel", BUSY_ID], {**BUSY["run"], "status": "cancelled"}),
    ],
)
def test_json_is_the_answer_and_nothing_else(cascade: Cascade, arguments: list[str], answer: Any) -> None:
    done = cascade(*arguments, "--json")
    assert done.status == exits.OK
    assert done.json == answer


@pytest.mark.parametrize(
    ("arguments", "records"), [(["events", RUN_ID], EVENTS), (["logs", RUN_ID], LINES), (["logs", RUN_ID, "-f"], LINES)]
)
def test_histories_are_json_lines(cascade: Cascade, arguments: list[str], records: list[Any]) -> None:
    done = cascade(*arguments, "--json")
    assert [json.loads(line) for line in done.out.splitlines()][: len(records)] == records


def test_options_may_stand_before_the_verb(api: Api, cascade: Cascade) -> None:
    assert cascade("--json", "workflows").json == [WORKFLOW]


def test_without_json_people_get_words(cascade: Cascade) -> None:
    done = cascade("show", RUN_ID)
    assert "✓ completed in" in done.out
    assert "4.0 kB of SVG" in done.out
    assert "\x1b" not in done.out
    assert done.err == ""


def test_an_output_is_printed_as_it_is(cascade: Cascade) -> None:
    assert cascade("show", RUN_ID, "--output", "chart").out == f"{SVG}\n"
    assert json.loads(cascade("show", RUN_ID, "--output", "summary").out) == {"days": 1461}
    missing = cascade("show", RUN_ID, "--output", "nothing")
    assert (missing.status, missing.out) == (exits.NOT_THERE, "")
    assert "there are: read, chart, summary" in missing.err


COMPLETED = [
    event("StepCompleted", "read", output=text, durationUs=1, attemptNumber=1) for text in ('{"n": 1}', "no JSON")
]


@pytest.mark.parametrize(("completed", "shown"), [(COMPLETED[0], {"n": 1}), (COMPLETED[1], "no JSON")])
def test_what_a_step_returned_is_shown_though_the_run_failed(
    api: Api, cascade: Cascade, completed: Any, shown: Any
) -> None:
    api.routes[f"GET /runs/{RUN_ID}"] = (200, FAILED)
    api.routes[f"GET /runs/{RUN_ID}/events"] = (200, {"events": [completed]})
    assert cascade("show", RUN_ID, "--output", "read", "--json").json == shown
    assert "type=StepCompleted&step=read" in api.asked[-1][0]
    api.routes[f"GET /runs/{RUN_ID}/events"] = (200, {"events": []})
    missing = cascade("show", RUN_ID, "--output", "check")
    assert missing.status == exits.NOT_THERE
    assert missing.err == "error: --output: step 'check' has returned nothing: it is failed\n"


@pytest.mark.parametrize("output", [7, "a text", ["x", 1], True, {}, 0, "x" * 5_000])
def test_an_output_that_is_no_object_is_shown(api: Api, cascade: Cascade, output: Any) -> None:
    api.routes[f"GET /runs/{RUN_ID}"] = (200, {**DONE, "output": output})
    done = cascade("show", RUN_ID)
    assert (done.status, done.err) == (exits.OK, "")
    last = "5.0 kB of text" if len(str(output)) > 1_000 else json.dumps(output).strip('"[]{}').partition(",")[0]
    assert last.strip('"') in done.out


def test_show_does_not_recommend_what_was_just_typed(api: Api, cascade: Cascade) -> None:
    api.routes[f"GET /runs/{RUN_ID}"] = (200, FAILED)
    api.routes[f"GET /runs/{RUN_ID}/events"] = (200, {"events": []})
    assert not re.search(rf"cascade show {RUN_ID}( |$)(?!.*--output)", cascade("show", RUN_ID).out, re.MULTILINE)
    assert f"cascade show {RUN_ID} " in cascade("show", RUN_ID, "--watch").out


def test_what_is_over_can_not_be_cancelled_and_has_a_status_of_its_own(api: Api, cascade: Cascade) -> None:
    api.routes[f"POST /runs/{RUN_ID}/cancel"] = problem(409, "run-not-cancellable", "the run is completed already")
    done = cascade("cancel", RUN_ID)
    assert (done.status, done.err) == (exits.NOT_IN_THIS_STATE, "error: the run is completed already\n")


def test_a_refused_field_is_called_as_it_was_typed(api: Api, cascade: Cascade) -> None:
    said = {"type.0": "--type", "tag.0": "--tag", "delayUs": "--delay", "tags.1": "--tag", "priority": "--priority"}
    for path, option in said.items():
        issue = {"path": path, "message": "is none; there are: A, B"}
        api.routes[f"GET /runs/{RUN_ID}/events"] = problem(400, "request-invalid", "no", issues=[issue])
        done = cascade("events", RUN_ID, "--type", "Foo")
        assert (done.status, done.err) == (exits.WRONG_USE, f"error: {option}: is none; there are: A, B\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["read", "--attempt", "7"], "--attempt 7: the last attempt of step 'read' is 1"),
        (["--attempt", "7"], "--attempt 7: the last attempt of any step is 1"),
    ],
)
def test_an_attempt_that_never_was_is_told(api: Api, cascade: Cascade, arguments: list[str], said: str) -> None:
    api.routes[f"GET /runs/{RUN_ID}/logs"] = (200, {"lines": []})
    done = cascade("logs", RUN_ID, *arguments)
    assert (done.status, done.out, done.err) == (exits.NOT_THERE, "", f"error: {said}\n")
    assert cascade("logs", RUN_ID, "--attempt", "1").status == exits.OK


def test_user_text_is_no_markup(cascade: Cascade) -> None:
    assert "one [red]row[/red]" in cascade("logs", RUN_ID).out
    assert "[bold]not markup[/bold]" in cascade("events", RUN_ID).out


def test_a_submission_holds_what_was_asked_for(api: Api, cascade: Cascade, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"legs": 3}')
    options = ["--input", str(tmp_path / "input.json"), "--key", "k", "--tag", "a", "--tag", "b", "--priority", "-2"]
    cascade(
        "run", "mishaps", *options, "--delay", "5m", "--timeout", "1h", "--metadata", "by=me", "--metadata", '{"n": 1}'
    )
    assert api.asked[-1][0] == "POST /workflows/mishaps/runs"
    assert api.last_body == {
        "input": {"legs": 3},
        "idempotencyKey": "k",
        "tags": ["a", "b"],
        "priority": -2,
        "delayUs": 300_000_000,
        "timeoutUs": 3_600_000_000,
        "metadata": {"by": "me", "n": 1},
    }


def test_input_may_come_from_stdin(api: Api, cascade: Cascade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[1, 2]")))
    cascade("run", "mishaps", "--input", "-")
    assert api.last_body["input"] == [1, 2]


def test_input_may_be_a_pipe(api: Api, cascade: Cascade) -> None:
    reader, writer = os.pipe()
    os.write(writer, b'{"a": 1}')
    os.close(writer)
    cascade("run", "mishaps", "--input", f"/dev/fd/{reader}")
    os.close(reader)
    assert api.last_body["input"] == {"a": 1}


@pytest.mark.parametrize("given", ['"' + "a" * 300 + '"', " 7 ", "-1.5", "true", "null", '"\\ud83d\\ude00"'])
def test_input_may_be_any_json(api: Api, cascade: Cascade, given: str) -> None:
    assert cascade("run", "mishaps", "--input", given).status == exits.OK
    assert api.last_body.get("input") == json.loads(given)


NO_JSON = [
    b"",
    b"{a",
    b'{"a": 1',
    b"NaN",
    b'{"a": [1, -Infinity]}',
    b'{"a": ' + b"9" * 5_000 + b"}",
    b"1e999",
    b"[" * 100_000,
    b"[" * 40 + b"]" * 40,
    b'{"a": 1, "a": 2}',
    b'"\\ud800"',
    b'"\xff"',
    b'"' + b"x" * 300_000 + b'"',
]


def is_one_line_about(done: Done, option: str) -> bool:
    told = (done.status, done.out) == (exits.WRONG_USE, "") and done.err.startswith("error: ")
    return told and done.err.count("\n") == 1 and len(done.err) < 400 and option in done.err


@pytest.mark.parametrize("content", NO_JSON, ids=lambda content: repr(content[:20]))
@pytest.mark.parametrize("way", ["argument", "file", "stdin"])
def test_input_that_is_none_gets_a_line(
    api: Api, cascade: Cascade, content: bytes, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "input.json").write_bytes(content)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    given = {"argument": os.fsdecode(content), "file": str(tmp_path / "input.json"), "stdin": "-"}[way]
    assert is_one_line_about(done := cascade("run", "mishaps", "--input", given), "")
    assert "--input" in done.err or "is no UTF-8" in done.err
    assert api.asked == []


@pytest.mark.parametrize(
    "content", ["{a", '{"a": NaN}', '{"a": ' + "[" * 100_000, '{"a": 1, "a": 2}', '{"a": "\\ud800"}']
)
def test_metadata_that_is_none_gets_a_line(api: Api, cascade: Cascade, content: str) -> None:
    assert is_one_line_about(cascade("run", "mishaps", "--metadata", content), "--metadata")
    assert api.asked == []


@pytest.mark.parametrize("option", ["--input", "--metadata", "--tag", "--key", "--delay"])
def test_words_that_are_no_utf_8_get_a_line(api: Api, cascade: Cascade, option: str) -> None:
    assert is_one_line_about(cascade("run", "mishaps", option, "a=\udcff"), "no UTF-8")
    assert api.asked == []


@pytest.mark.parametrize("given", ["nofile.json", "x y", "NaNny", "/"])
def test_what_is_neither_a_file_nor_json_is_said_to_be_neither(cascade: Cascade, given: str) -> None:
    assert is_one_line_about(cascade("run", "mishaps", "--input", given), "neither a file that exists nor JSON")


@pytest.mark.parametrize("option", ["--delay", "--timeout"])
def test_a_duration_without_end_is_none(cascade: Cascade, option: str) -> None:
    assert is_one_line_about(cascade("run", "mishaps", option, "9" * 400), option)


def test_issues_are_listed_with_their_paths(api: Api, cascade: Cascade) -> None:
    issues = [{"path": "input.legs", "message": "0 is less than the minimum of 1"}]
    api.routes["POST /workflows/mishaps/runs"] = problem(
        422, "input-invalid", "The input doesn't match.", issues=issues
    )
    done = cascade("run", "mishaps", "--input", "{}")
    assert done.status == exits.WRONG_USE
    assert done.err.splitlines()[1:] == ["  input.legs: 0 is less than the minimum of 1"]


def test_a_retired_workflow_says_so(api: Api, cascade: Cascade) -> None:
    api.routes["GET /workflows/mishaps"] = (200, {**WORKFLOW, "retiredAtUs": 1_800_000_000_000_000})
    assert "since 2027-01-1" in cascade("workflows", "mishaps").out
    api.routes["POST /workflows/mishaps/runs"] = problem(409, "workflow-retired", "workflow 'mishaps' is retired")
    done = cascade("run", "mishaps")
    assert (done.status, done.err) == (exits.NOT_THERE, "error: workflow 'mishaps' is retired\n")


def test_a_mistyped_workflow_gets_a_suggestion(api: Api, cascade: Cascade) -> None:
    api.routes["POST /workflows/mishap/runs"] = problem(404, "workflow-not-found", "there is no such workflow")
    done = cascade("run", "mishap")
    assert done.status == exits.NOT_THERE
    assert done.err == "error: there is no workflow 'mishap': did you mean 'mishaps'? there are: mishaps\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frob"], "No such command 'frob'"),
        (["show"], "Missing argument 'RUN'"),
        (["show", "../x"], "'../x' is no run's id"),
        (["runs", "--status", "nix"], "'nix' is not one of"),
        (["run", "mishaps", "--delay", "soon"], "give a duration such as"),
        (["worker", "--drain", "soon"], "give a duration such as"),
        (["run", "mishaps", "--metadata", "x"], "give name=value"),
        (["runs", "--stack", "a", "--url", "b"], "both say where the engine is"),
        (["runs", "--env", "a", "--url", "b"], "both say where the engine is"),
        (["runs", "--region", "eu-west-3"], "name the stack too"),
        (["up", "--stack", "a"], "about the stack on this machine"),
        (["rnu"], "Did you mean 'run'? See"),
        (["run", "a/b"], "'a/b' is no workflow's slug"),
        (["workflows", "../x"], "'../x' is no workflow's slug"),
        (["run", "hello", "--input", ""], "--input: '': it is neither"),
        (["worker", "--pool", "a b"], "'a b' is no pool"),
        (["up", "--env", "prod"], "about the stack on this machine"),
        (["up", "--region", "eu-west-3"], "about the stack on this machine"),
        (["--url", "a", "down"], "about the stack on this machine"),
    ],
)
def test_wrong_use_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert run(arguments) == exits.WRONG_USE
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_a_length_of_time_is_told_as_people_write_it(api: Api, cascade: Cascade) -> None:
    issue = {"path": "delayUs", "message": "Input should be less than or equal to 31536000000000"}
    api.routes["POST /workflows/mishaps/runs"] = problem(400, "request-invalid", "mend it", issues=[issue])
    done = cascade("run", "mishaps", "--delay", "1000d")
    assert (done.status, done.err) == (exits.WRONG_USE, "error: --delay: Input should be less than or equal to 365 d\n")


def test_where_nothing_runs_the_cure_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["runs"]) == exits.WRONG_USE
    said = capsys.readouterr().err
    assert "cascade init NAME" in said
    assert said.endswith("; or name a stack in AWS: --stack\n")
    (tmp_path / "cascade.toml").touch()
    assert run(["runs"]) == exits.WRONG_USE
    expected = "error: no local engine is running: start it with `cascade up`, or name a stack with --stack or --env\n"
    assert capsys.readouterr().err == expected


def test_an_unknown_run_is_told_from_an_engine_that_is_away(api: Api, cascade: Cascade) -> None:
    assert cascade("show", "unknown").status == exits.NOT_THERE
    api.url = "http://127.0.0.1:9"
    assert cascade("show", RUN_ID).status == exits.UNAVAILABLE


def test_watching_ends_with_the_run(api: Api, cascade: Cascade) -> None:
    away = problem(503, "backend-unavailable", "not now")
    api.routes[f"GET /runs/{RUN_ID}"] = [(200, {**BUSY, "run": {**BUSY["run"], "runId": RUN_ID}}), away, (200, DONE)]
    done = cascade("run", "mishaps", "--watch")
    assert done.status == exits.OK
    assert "unreliable: retrying (attempt 3 of 4" in done.out
    assert f"run {RUN_ID} of mishaps: completed" in done.out
    assert "4.0 kB of SVG" in done.out


def test_what_a_worker_gave_back_is_told_as_such(api: Api, cascade: Cascade) -> None:
    [lost] = [event for event in EVENTS if event["type"] == "StepReclaimed"]
    api.routes[f"GET /runs/{RUN_ID}"] = (200, FAILED)
    api.routes[f"GET /runs/{RUN_ID}/events"] = (200, {"events": [{**lost, "reclaimedBy": "worker-1"}]})
    assert "its worker gave it back, which is no try" in cascade("show", RUN_ID).out
    assert "attempt 2 given back by worker-1" in cascade("events", RUN_ID).out


def test_a_failed_run_is_a_failed_watch(api: Api, cascade: Cascade) -> None:
    api.routes[f"GET /runs/{RUN_ID}"] = (200, FAILED)
    failures = [event for event in EVENTS if event["type"] in ("StepFailed", "StepReclaimed")]
    api.routes[f"GET /runs/{RUN_ID}/events"] = (200, {"events": failures})
    shown = cascade("show", RUN_ID)
    assert shown.status == exits.OK
    assert "its worker fell silent and was given up after 7.0 s" in shown.out
    assert "type=StepFailed" in api.asked[-1][0]
    done = cascade("show", RUN_ID, "--watch")
    assert done.status == exits.RUN_NOT_COMPLETED
    assert "failed in step check" in done.out
    assert cascade("show", RUN_ID, "--watch", "--json").json == FAILED


def test_an_engine_that_stays_away_ends_the_watch(api: Api, cascade: Cascade) -> None:
    api.routes[f"GET /runs/{RUN_ID}"] = problem(503, "backend-unavailable", "not now")
    assert cascade("show", RUN_ID, "--watch").status == exits.UNAVAILABLE


def test_an_interrupted_watch_leaves_the_run_alone(api: Api, cascade: Cascade, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(clock, "pause_us", interrupt)
    done = cascade("show", BUSY_ID, "--watch")
    assert done.status == exits.INTERRUPTED
    assert f"The run goes on. Watch it again: cascade show {BUSY_ID} --watch" in done.err
    assert all(request.startswith("GET") for request, _ in api.asked)


def test_following_logs_ends_with_the_run(api: Api, cascade: Cascade) -> None:
    api.routes[f"GET /runs/{BUSY_ID}"] = [(200, BUSY), (200, {**DONE})]
    api.routes[f"GET /runs/{BUSY_ID}/logs"] = [
        (200, {"lines": LINES[:1]}),
        (200, {"lines": LINES[1:]}),
        (200, {"lines": []}),
    ]
    done = cascade("logs", BUSY_ID, "--follow")
    assert [line.partition("│ ")[2] for line in done.out.splitlines()] == ["one [red]row[/red]", "two: ünïcode"]
    assert f"afterUs={LINES[0]['timestampUs'] - 60_000_000}" in [each for each, _ in api.asked if "/logs" in each][1]


def test_following_logs_shows_what_is_stored_late_and_nothing_twice(api: Api, cascade: Cascade) -> None:
    """Steps that run at the same time store their lines once a second, each when it likes."""
    early, late = ({**LINES[0], "stepId": step, "message": step} for step in ("early", "late"))
    late["timestampUs"] += 900_000
    api.routes[f"GET /runs/{BUSY_ID}"] = [(200, BUSY), (200, {**DONE})]
    api.routes[f"GET /runs/{BUSY_ID}/logs"] = [(200, {"lines": [late]}), (200, {"lines": [early, late]})]
    done = cascade("logs", BUSY_ID, "--follow")
    assert [line.partition("│ ")[2] for line in done.out.splitlines()] == ["late", "early"]


def test_nobody_looks_more_often_than_needed() -> None:
    paces = [watching.pace_us(seconds * 1_000_000) for seconds in (0, 9, 11, 119, 121, 10_000)]
    assert paces == [250_000, 250_000, 1_000_000, 1_000_000, 2_000_000, 2_000_000]


@pytest.mark.parametrize(
    "verb", ["up", "down", "env", "build", "smoke", "workflows", "run", "runs", "show", "events", "logs", "cancel"]
)
def test_every_verb_has_help_with_an_example(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert run([verb, "--help"]) == exits.OK
    shown = capsys.readouterr().out
    assert f"$ cascade {verb}" in shown
    assert "--json" in shown
    assert ("--stack" in shown) is (verb not in ("up", "down", "build"))
    assert ("--url" in shown) is (verb not in ("up", "down", "env", "build", "smoke"))


@pytest.mark.parametrize(
    "verb",
    [None, "up", "down", "env", "build", "smoke", "workflows", "run", "runs", "show", "events", "logs", "cancel"],
)
def test_help_is_in_words_and_not_in_types(capsys: pytest.CaptureFixture[str], verb: str | None) -> None:
    assert run([*([verb] if verb else []), "--help"]) == exits.OK
    shown = capsys.readouterr().out
    assert "Usage: cascade" in shown
    assert re.findall(r"<[a-z]+|\{[A-Z]|\[default: \(", shown) == []


def test_help_tells_every_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == exits.OK
    told = re.findall(r"^ +(\d+) ", capsys.readouterr().out, re.MULTILINE)
    known = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert {int(each) for each in told} == known


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == exits.OK
    assert capsys.readouterr().out.startswith("cascade-flow ")
