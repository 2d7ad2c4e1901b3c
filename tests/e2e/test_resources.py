"""Every resource of the API through its gateway: what the template leads where, under the roles that it gives."""

from __future__ import annotations

import pytest

from cascade_flow import RunNotRetryableError, clock
from cascade_flow.release import VERSION
from cascade_flow.wake import Wake
from e2e.stack import Stack
from e2e.waiting import until

LETTERS = {
    "name": "Letters",
    "steps": [{"stepId": "write/draft"}, {"stepId": "send", "dependencies": ["write/draft"]}],
}


def test_a_step_whose_id_holds_a_slash_is_read_and_gone_on_from(stack: Stack) -> None:
    """Its workflow is one that no deployment brings; its worker's id is as odd."""
    version_id = stack.client.register("letters", LETTERS)["versionId"]
    assert stack.client.version("letters", version_id)["steps"][0]["stepId"] == "write/draft"
    with stack.wakeups.unheard():
        run_id = stack.client.submit("letters", input={"to": "mila"})["runId"]
        wish = {"workerId": "gpu/box 1", "runId": run_id, "stepId": "write/draft"}
        assert stack.call("POST", "/steps/claim", wish).status_code == 200
        stack.backend.save_step_complete("letters", run_id, "write/draft", "Hi", duration_us=1, attempt_number=1)
        assert stack.client.worker("gpu/box 1")["totalStepsProcessed"] == 1
        assert stack.client.step(run_id, "write/draft")["output"] == "Hi"
        assert stack.client.step(run_id, "send")["input"] == {"input": {"to": "mila"}, "outputs": {"write/draft": "Hi"}}
        with pytest.raises(RunNotRetryableError):
            stack.client.resume(run_id)
        [piece] = stack.client.cancel_many(workflow_slug="letters")
        assert piece == {"count": 1, "refused": []}
        plan = stack.client.rerun_preview(run_id)
        assert (plan["keeps"], plan["runsAgain"]) == (["write/draft"], ["send"])
        again = stack.client.rerun(run_id, "write/draft", input={"to": "anna"})
        assert again["keeps"] == []
        pieces = list(stack.client.retry_many(workflow_slug="letters", status=["cancelled"], limit=1))
        assert sum(piece["count"] for piece in pieces) == 1
        assert len(list(stack.client.cancel_many(workflow_slug="letters"))) == 1


def test_the_service_reports_on_itself(stack: Stack) -> None:
    started_us = clock.now_us()
    run_id = stack.submit("linear", input={"number": 1})
    stack.finished(run_id)
    assert stack.client.report("throughput", workflow_slug="linear", start_us=started_us)["runsCompleted"] == 1
    assert stack.client.report("summary", run_ids=[run_id])["successRate"]["successfulSteps"] == 3
    assert stack.client.health() == {"status": "ok", "checks": {"table": "ok"}}
    assert stack.client.version_of_engine()["version"] == VERSION


def test_a_dead_letter_is_seen_and_sent_again(stack: Stack) -> None:
    with stack.wakeups.unheard():
        run_id = stack.submit("linear", input={"number": 2})
    stack.wakeups.bury(Wake(run_id, branch="first", step="first", attempt=1))
    [letter] = until(lambda: stack.client.dead_letters()["deadLetters"])
    assert letter["runId"] == run_id
    assert stack.client.redrive() == {"count": 1, "remaining": 0}
    stack.finished(run_id)
