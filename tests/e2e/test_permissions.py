"""Each of the template's managed policies lets its bearer do what it is for, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from reference import conformance

from cascade_flow.local.deployment import client as emulated
from e2e.stack import Stack

REQUESTS = sorted(
    (method.upper(), re.sub(r"\{\w+\}", "x", path))
    for path, methods in conformance.published()["paths"].items()
    for method in conformance.METHODS & set(methods)
)
SUBMITS = re.compile(r"POST ((/workflows/[^/]+)?/runs|/runs/batch)")
WORKS = re.compile(r"POST /steps/claim|(GET|POST) /runs/[^/]+/steps/.+")
MAY: Mapping[str, Callable[[str], object]] = {
    "ReadPolicyArn": lambda asked: asked.startswith("GET "),
    "SubmitPolicyArn": SUBMITS.fullmatch,
    "WorkPolicyArn": WORKS.fullmatch,
}
FORBIDDEN = (403, {"message": "Forbidden"})
ONE_WORKFLOW = "arn:aws:execute-api:*:*:{api}/$default/POST/workflows/linear/runs"


@contextmanager
def bearer(stack: Stack, name: str) -> Iterator[tuple[Stack, Any]]:
    """The stack as somebody meets it who has a key and no rights yet; and what gives them."""
    iam = emulated(stack.local, "iam")
    user = iam.create_user(UserName=name)["User"]["UserName"]
    key = iam.create_access_key(UserName=user)["AccessKey"]
    known = replace(stack.local, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])
    try:
        yield replace(stack, local=known), iam
    finally:
        iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])


def asked(stack: Stack, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = stack.call(method, path, body)
    return answer.status_code, answer.json() if answer.content else None


@pytest.mark.parametrize("policy", MAY)
def test_a_policy_opens_what_it_is_for_and_nothing_else(stack: Stack, policy: str) -> None:
    with bearer(stack, policy) as (theirs, iam):
        iam.attach_user_policy(UserName=policy, PolicyArn=stack.local.outputs[policy])
        refused = {f"{method} {path}": asked(theirs, method, path) == FORBIDDEN for method, path in REQUESTS}
    assert refused == {request: not MAY[policy](request) for request in refused}
    assert set(refused.values()) == {True, False}


def test_who_has_no_policy_gets_nowhere(stack: Stack) -> None:
    with bearer(stack, "nobody") as (theirs, _):
        assert {asked(theirs, method, path)[0] for method, path in REQUESTS} == {403}


def test_a_policy_is_enough_for_a_runs_life(stack: Stack) -> None:
    with bearer(stack, "submitter") as (submitter, iam), bearer(stack, "worker") as (worker, _):
        iam.attach_user_policy(UserName="submitter", PolicyArn=stack.local.outputs["SubmitPolicyArn"])
        iam.attach_user_policy(UserName="worker", PolicyArn=stack.local.outputs["WorkPolicyArn"])
        with stack.wakeups.unheard():
            status, run = asked(submitter, "POST", "/runs", {"workflowSlug": "linear", "input": {"number": 1}})
            assert status == 201
            named = {"runId": run["runId"], "stepId": "first", "workerId": "theirs"}
            assert asked(worker, "POST", "/steps/claim", named)[0] == 200
            said = {"workerId": "theirs", "attemptNumber": 1}
            assert asked(worker, "POST", f"/runs/{run['runId']}/steps/first/heartbeat", said)[0] == 200
            assert asked(worker, "GET", f"/runs/{run['runId']}") == FORBIDDEN
    stack.finished(run["runId"])


def test_a_statement_opens_a_single_workflow(stack: Stack) -> None:
    resource = ONE_WORKFLOW.format(api=stack.local.outputs["ApiId"])
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    with bearer(stack, "linear-only") as (theirs, iam):
        iam.put_user_policy(UserName="linear-only", PolicyName="linear", PolicyDocument=document)
        assert asked(theirs, "POST", "/workflows/linear/runs", {})[0] != 403
        assert asked(theirs, "POST", "/workflows/diamond/runs", {}) == FORBIDDEN
        assert asked(theirs, "POST", "/runs", {"workflowSlug": "linear"}) == FORBIDDEN
