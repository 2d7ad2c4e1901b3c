"""What `cascade smoke` looks at: what is right passes, what is wrong is told with its cure, all else is unseen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from cascade_flow.smoke import points
from cascade_flow.smoke.point import Finding, Point, Unseen, Wrong, look
from cascade_flow.smoke.stack import Stack

RIGHT: Mapping[str, Mapping[str, Any]] = {
    "lambda": {
        "get_function_configuration": {
            "FunctionName": "worker",
            "FunctionArn": "arn:aws-us-gov:lambda:region:1:function:worker",
            "Role": "role",
            "Runtime": "python3.13",
            "Architectures": ["arm64"],
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "Timeout": 60,
        },
        "get_function_recursion_config": {"RecursiveLoop": "Allow"},
        "list_event_source_mappings": {
            "EventSourceMappings": [
                {
                    "State": "Enabled",
                    "EventSourceArn": f"arn:aws:sqs:region:1:the-{queue}",
                    "FunctionResponseTypes": ["ReportBatchItemFailures"],
                    "ScalingConfig": {"MaximumConcurrency": most},
                }
                for queue, most in (("UrgentQueue", 2), ("Queue", 6))
            ]
        },
        "get_account_settings": {"AccountLimit": {"ConcurrentExecutions": 10}},
    },
    "sqs": {
        "get_queue_attributes": {
            "Attributes": {
                "VisibilityTimeout": "360",
                "RedrivePolicy": '{"maxReceiveCount": 5}',
                "ApproximateNumberOfMessages": "0",
            }
        }
    },
    "dynamodb": {
        "describe_time_to_live": {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED"}},
        "describe_continuous_backups": {
            "ContinuousBackupsDescription": {
                "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"},
            }
        },
        "describe_table": {"Table": {"GlobalSecondaryIndexes": [{"IndexName": "due", "IndexStatus": "ACTIVE"}]}},
    },
    "iam": {"simulate_principal_policy": {"EvaluationResults": [{"EvalDecision": "allowed"}]}},
    "cloudwatch": {
        "describe_alarms": {"MetricAlarms": [{"AlarmName": "late", "StateValue": "OK"}]},
        "get_metric_statistics": {"Datapoints": [{"Sum": 5.0}]},
    },
}


class Described:
    """A stack of which is known what AWS answers; any call may be answered otherwise, or refused."""

    is_emulated = False
    functions = [RIGHT["lambda"]["get_function_configuration"]]

    def __init__(self, otherwise: Mapping[str, Any] | None = None) -> None:
        self._otherwise = otherwise or {}
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def client(self, service: str) -> Any:
        return SimpleNamespace(**{call: self._answering(call, right) for call, right in RIGHT[service].items()})

    def _answering(self, call: str, right: Any) -> Callable[..., Any]:
        def answer(**asked: Any) -> Any:
            self.asked.append((call, asked))
            said = self._otherwise.get(call, right)
            if isinstance(said, Exception):
                raise said
            return said

        return answer

    def id_of(self, name: str) -> str:
        return f"the-{name}"

    def ids_of(self, kind: str) -> list[str]:
        return ["late"]

    def function(self, name: str) -> Any:
        return self.client("lambda").get_function_configuration(FunctionName=name)


AT_AWS = [
    points.functions_run,
    points.loops_are_allowed,
    points.queue_hides_long_enough,
    points.worker_is_woken,
    points.concurrency_is_left,
    points.table_keeps_and_forgets,
    points.lost_payloads_are_told,
    points.dead_letters,
    points.alarms_are_quiet,
    points.reaper_is_called,
]
"""Those that ask AWS about the stack; the others ask the stack itself (tests/e2e/test_smoke.py)."""


@pytest.mark.parametrize("point", AT_AWS)
def test_what_is_right_passes(point: Callable[[Any], str]) -> None:
    assert point(Described())


def attributes(**changed: str) -> dict[str, Any]:
    right = RIGHT["sqs"]["get_queue_attributes"]["Attributes"]
    return {"get_queue_attributes": {"Attributes": {name: v for name, v in {**right, **changed}.items() if v}}}


def mapping(queue: str, **changed: Any) -> dict[str, Any]:
    """The mappings, of which that of this queue is not as it should be."""
    right = RIGHT["lambda"]["list_event_source_mappings"]["EventSourceMappings"]
    found = [{**each, **(changed if each["EventSourceArn"].endswith(f"-{queue}") else {})} for each in right]
    return {"list_event_source_mappings": {"EventSourceMappings": found}}


def test_urgent_runs_may_have_no_workers_of_their_own() -> None:
    off = Described(mapping("UrgentQueue", State="Disabled"))
    assert (points.worker_is_woken(off), points.concurrency_is_left(off)) == ("Queue: at most 6 at once", "6 of 10")


WRONG: list[tuple[Callable[[Any], str], dict[str, Any], str]] = [
    (points.loops_are_allowed, {"get_function_recursion_config": {"RecursiveLoop": "Terminate"}}, "17th message"),
    (points.queue_hides_long_enough, attributes(VisibilityTimeout="359"), "six times"),
    (points.queue_hides_long_enough, attributes(RedrivePolicy=""), "dead letters"),
    (points.worker_is_woken, mapping("Queue", State="Disabled"), "no queue wakes the worker"),
    (points.worker_is_woken, mapping("Queue", FunctionResponseTypes=[]), "failed messages"),
    (points.worker_is_woken, mapping("UrgentQueue", FunctionResponseTypes=[]), "failed messages"),
    (points.concurrency_is_left, {"list_event_source_mappings": {"EventSourceMappings": []}}, "mapping is missing"),
    (points.concurrency_is_left, mapping("Queue", ScalingConfig={"MaximumConcurrency": 7}), "lower WorkerConcurrency"),
    (points.concurrency_is_left, mapping("UrgentQueue", ScalingConfig={"MaximumConcurrency": 4}), "10 workers"),
    (points.concurrency_is_left, mapping("UrgentQueue", ScalingConfig={}), "lower WorkerConcurrency"),
    (
        points.table_keeps_and_forgets,
        {"describe_time_to_live": {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}},
        "don't expire",
    ),
    (points.table_keeps_and_forgets, {"describe_continuous_backups": {"ContinuousBackupsDescription": {}}}, "restored"),
    (
        points.table_keeps_and_forgets,
        {"describe_table": {"Table": {"GlobalSecondaryIndexes": [{"IndexName": "due", "IndexStatus": "CREATING"}]}}},
        "being built: due",
    ),
    (
        points.lost_payloads_are_told,
        {"simulate_principal_policy": {"EvaluationResults": [{"EvalDecision": "implicitDeny"}]}},
        "may not list",
    ),
    (points.dead_letters, attributes(ApproximateNumberOfMessages="3"), "3 wake-ups"),
    (
        points.alarms_are_quiet,
        {"describe_alarms": {"MetricAlarms": [{"AlarmName": "late", "StateValue": "ALARM"}]}},
        "ringing: late",
    ),
    (points.alarms_are_quiet, {"describe_alarms": {"MetricAlarms": []}}, "0 of 1"),
]


@pytest.mark.parametrize(("point", "answers", "told"), WRONG, ids=[told for _, _, told in WRONG])
def test_what_is_wrong_is_told(point: Callable[[Any], str], answers: dict[str, Any], told: str) -> None:
    with pytest.raises(Wrong, match=told):
        point(Described(answers))


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"State": "Pending"}, "worker is Pending"), ({"Architectures": ["x86_64"]}, "built for arm64")],
)
def test_a_function_that_does_not_run_is_named(changed: dict[str, Any], told: str) -> None:
    stack = Described()
    stack.functions = [{**RIGHT["lambda"]["get_function_configuration"], **changed}]
    with pytest.raises(Wrong, match=told):
        points.functions_run(stack)  # type: ignore[arg-type]


def test_rights_are_asked_for_in_the_stacks_partition() -> None:
    points.lost_payloads_are_told(stack := Described())  # type: ignore[arg-type]
    [asked, *_] = [asked for call, asked in stack.asked if call == "simulate_principal_policy"]
    assert asked["ResourceArns"] == ["arn:aws-us-gov:s3:::the-Bucket"]


def test_a_reaper_of_which_nothing_is_known_is_no_failure() -> None:
    with pytest.raises(Unseen, match="look again"):
        points.reaper_is_called(Described({"get_metric_statistics": {"Datapoints": []}}))  # type: ignore[arg-type]


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Describe")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("raised", "verdict", "remark"),
    [
        (refusal("AccessDenied"), "unseen", "your credentials may not ask for Describe"),
        (refusal("Whatever", 501), "unseen", "Describe is not known here"),
        (refusal("Throttling"), "fail", "Throttling"),
        (EndpointConnectionError(endpoint_url="https://sqs"), "fail", "https://sqs"),
        (Wrong("it is wrong"), "fail", "it is wrong"),
        (Unseen("too young"), "unseen", "too young"),
    ],
    ids=lambda value: str(value),
)
def test_one_point_keeps_none_of_the_others(raised: Exception, verdict: str, remark: str) -> None:
    def broken(_: Any) -> str:
        raise raised

    first, second = look([Point("one", broken), Point("two", lambda _: "fine")], Described())  # type: ignore[arg-type]
    assert (first.verdict, second) == (verdict, Finding("two", "pass", "fine"))
    assert remark in first.remark


def test_what_only_aws_shows_is_not_looked_at_on_an_emulator() -> None:
    stack = Described()
    stack.is_emulated = True
    [finding] = look([Point("loops", points.loops_are_allowed, emulated=False)], stack)  # type: ignore[arg-type]
    assert (finding.verdict, stack.asked) == ("unseen", [])


def test_a_stack_without_what_is_looked_at_is_told_so() -> None:
    stack = Stack("old", api=None, session=None)  # type: ignore[arg-type]
    stack.__dict__["_resources"] = []
    [finding] = look([Point("loops", points.loops_are_allowed)], stack)
    assert (finding.verdict, finding.remark) == (
        "fail",
        "the stack old has no WorkerFunction: deploy the template of this release",
    )
