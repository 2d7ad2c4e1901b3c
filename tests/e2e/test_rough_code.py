"""User code that leaves the worker changed or takes it down, odd values and odd inputs, on the deployed stack."""

from __future__ import annotations

import pytest

from cascade_flow import StepFailed, StepSkipped, StepStarted
from cascade_flow.errors import InputInvalidError
from e2e.stack import Stack, of_kind

SUBMITTED = ("untidy", "talkative", "exiting", "alarming", "wordless", "numberless", "lossy")


@pytest.fixture(scope="module")
def runs(stack: Stack) -> dict[str, str]:
    """The ids of the runs, by workflow."""
    return {slug: stack.submit(slug) for slug in SUBMITTED}


def said(stack: Stack, run_id: str, step_id: str) -> list[str]:
    return [line["message"].rstrip("\n") for line in stack.client.logs(run_id, step_id=step_id)]


def test_what_a_step_changes_in_its_process_is_put_back(stack: Stack, runs: dict[str, str]) -> None:
    run = stack.finished(runs["untidy"])
    assert len({event.worker_id for event in of_kind(run, StepStarted)}) == 1
    assert stack.client.run(runs["untidy"])["output"] == {"after": [True, False]}
    assert said(stack, runs["untidy"], "changes").count("INFO all is changed") == 1
    lines = said(stack, runs["untidy"], "after")
    assert [lines.count("printed once"), lines.count("INFO logged once")] == [1, 1]


def test_a_childs_words_are_in_the_log_and_stdin_is_empty(stack: Stack, runs: dict[str, str]) -> None:
    stack.finished(runs["talkative"])
    assert stack.client.run(runs["talkative"])["output"] == {"shell": "nobody is there"}
    assert sorted(said(stack, runs["talkative"], "shell")) == ["from a child", "to stderr"]


def test_who_ends_the_process_leaves_its_last_words_and_the_reason(stack: Stack, runs: dict[str, str]) -> None:
    run = stack.finished(runs["exiting"], "failed")
    [failed] = of_kind(run, StepFailed)
    assert failed.error.name == "WorkerExit"
    assert "3" in failed.error.message
    assert said(stack, runs["exiting"], "exits") == ["the last words"]


def test_a_timeout_can_not_be_disarmed(stack: Stack, runs: dict[str, str]) -> None:
    [failed] = of_kind(stack.finished(runs["alarming"], "failed"), StepFailed)
    assert failed.failure_reason == "timeout"
    assert failed.duration_us < 10_000_000


def test_a_skip_without_words_is_a_skip(stack: Stack, runs: dict[str, str]) -> None:
    [skipped] = of_kind(stack.finished(runs["wordless"]), StepSkipped)
    assert skipped.step_id == "skips"


def test_a_number_that_json_does_not_have_arrives(stack: Stack, runs: dict[str, str]) -> None:
    stack.finished(runs["numberless"])
    assert stack.client.run(runs["numberless"])["output"] == {"arrived": True}


def test_a_value_that_would_not_arrive_fails_the_step_that_returned_it(stack: Stack, runs: dict[str, str]) -> None:
    [failed] = of_kind(stack.finished(runs["lossy"], "failed"), StepFailed)
    assert failed.terminal
    assert "Gift" in failed.error.message


def test_patterns_are_judged_as_the_model_does_and_in_time(stack: Stack) -> None:
    stack.finished(stack.submit("named", input={"name": "Zoë"}))
    for wrong in ({"name": "a1"}, {"words": "a" * 30 + "!"}):
        with pytest.raises(InputInvalidError, match=next(iter(wrong))):
            stack.submit("named", input=wrong)


def test_a_rerun_tells_the_world_the_same_idempotency_key(stack: Stack) -> None:
    first = stack.submit("named", input={})
    stack.finished(first)
    again = stack.backend.rerun_from(parent_run_id=first, from_step_id="greet").run_id
    stack.finished(again)
    assert stack.client.run(again)["output"] == stack.client.run(first)["output"]
