"""The points: where AWS differs from its emulators, and what a deployment may lack."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from urllib3 import BaseHTTPResponse

from cascade_flow import clock
from cascade_flow.smoke import trial
from cascade_flow.smoke.point import Point, Unseen, Wrong
from cascade_flow.smoke.stack import Stack

_MINUTES_SEEN = 5
_MOST_SKEW_S = 30
_KEPT_FOR_OTHERS = 2
_QUEUES = ("Queue", "UrgentQueue")


def functions_run(stack: Stack) -> str:
    """Every function is there, whole, on the processor that its layers were built for."""
    found = stack.functions
    for each in found:
        if each.get("State", "Active") != "Active" or each.get("LastUpdateStatus", "Successful") != "Successful":
            raise Wrong(f"{each['FunctionName']} is {each['State']}, {each.get('LastUpdateStatus')}: deploy again")
        if each["Architectures"] != ["arm64"]:
            raise Wrong(f"{each['FunctionName']} runs on {each['Architectures']}, and its layers are built for arm64")
    return f"{len(found)} functions on {found[0]['Runtime']}"


def loops_are_allowed(stack: Stack) -> str:
    """Lambda stops what calls itself after some 16 calls: a long run's wake-ups, unless the function allows it."""
    asked = {"FunctionName": stack.id_of("WorkerFunction")}
    told = stack.client("lambda").get_function_recursion_config(**asked)["RecursiveLoop"]
    if told != "Allow":
        raise Wrong(f"the worker has RecursiveLoop {told}: runs would stall at their 17th message; deploy the template")
    return "RecursiveLoop: Allow"


def queue_hides_long_enough(stack: Stack) -> str:
    """A message is hidden for six times the worker's time, and set aside after some failures."""
    return "; ".join(f"{name} {_hidden(stack, name)}" for name in _QUEUES)


def _hidden(stack: Stack, name: str) -> str:
    told = _attributes(stack, name)
    hidden_s, worker_s = int(told["VisibilityTimeout"]), int(stack.function("WorkerFunction")["Timeout"])
    if hidden_s < 6 * worker_s:
        raise Wrong(f"a message is hidden for {hidden_s} s, and the worker has {worker_s} s: six times that is needed")
    if "RedrivePolicy" not in told:
        raise Wrong("the queue has no dead letters: a message that can't be read would come for ever")
    return f"hidden for {hidden_s} s, set aside after {json.loads(told['RedrivePolicy'])['maxReceiveCount']} receipts"


def worker_is_woken(stack: Stack) -> str:
    """The queue is connected with the worker, and a message that failed is not taken for done."""
    mappings = _mappings(stack)
    if any("ReportBatchItemFailures" not in each.get("FunctionResponseTypes", []) for each in mappings.values()):
        raise Wrong("the worker's answers about failed messages are not read: deploy the template")
    most = {name: _most(mapping) for name, mapping in mappings.items()}
    return ", ".join(f"{name}: at most {number} at once" for name, number in most.items())


def concurrency_is_left(stack: Stack) -> str:
    """Workers may not take all that the account may run at once: new accounts have 10."""
    limits = stack.client("lambda").get_account_settings()["AccountLimit"]
    each, all_of_it = [_most(mapping) for mapping in _mappings(stack).values()], limits["ConcurrentExecutions"]
    most = None if None in each else sum(filter(None, each))
    if most is None or most + _KEPT_FOR_OTHERS > all_of_it:
        raise Wrong(
            f"{most} workers of the account's {all_of_it} executions leave nothing for the API and the reaper: lower "
            "WorkerConcurrency and UrgentConcurrency, or ask AWS for more (Service Quotas, Lambda, concurrent "
            "executions)"
        )
    return f"{most} of {all_of_it}"


def table_keeps_and_forgets(stack: Stack) -> str:
    """Items expire, the table can be restored, its indexes are whole."""
    client, name = stack.client("dynamodb"), stack.id_of("Table")
    if client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"] != "ENABLED":
        raise Wrong("items don't expire: the table's TTL is off")
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    if backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") != "ENABLED":
        raise Wrong("the table can't be restored to a point in time")
    indexes = client.describe_table(TableName=name)["Table"]["GlobalSecondaryIndexes"]
    unready = [each["IndexName"] for each in indexes if each["IndexStatus"] != "ACTIVE"]
    if unready:
        raise Wrong(f"indexes are still being built: {', '.join(unready)}")
    return f"{len(indexes)} indexes"


def lost_payloads_are_told(stack: Stack) -> str:
    """S3 says that an object is missing only to who may list: others are refused, as if it were a right that lacks."""
    iam, bucket = stack.client("iam"), f"arn:{_partition(stack)}:s3:::{stack.id_of('Bucket')}"
    context = [{"ContextKeyName": "s3:prefix", "ContextKeyValues": ["payloads/x"], "ContextKeyType": "string"}]
    for name in ("QueryFunction", "WorkerFunction"):
        role = stack.function(name)["Role"]
        asked = {"PolicySourceArn": role, "ActionNames": ["s3:ListBucket"], "ResourceArns": [bucket]}
        [told] = iam.simulate_principal_policy(**asked, ContextEntries=context)["EvaluationResults"]
        if told["EvalDecision"] != "allowed":
            raise Wrong(f"{name} may not list payloads/: a payload that was deleted would look like a missing right")
    return "s3:ListBucket on payloads/"


def dead_letters(stack: Stack) -> str:
    """Nothing was tried in vain."""
    told = _attributes(stack, "DeadLetters")
    if (number := int(told["ApproximateNumberOfMessages"])) > 0:
        raise Wrong(f"{number} wake-ups were tried in vain: the worker's log says why (docs/operations.md)")
    return "none"


def alarms_are_quiet(stack: Stack) -> str:
    """Every alarm of the template is there, and none rings."""
    names = stack.ids_of("AWS::CloudWatch::Alarm")
    found = stack.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    ringing = [each["AlarmName"] for each in found if each["StateValue"] == "ALARM"]
    if ringing or len(found) < len(names):
        raise Wrong(f"ringing: {', '.join(ringing) or 'none'}; there are {len(found)} of {len(names)}")
    return f"{len(found)} alarms"


def reaper_is_called(stack: Stack) -> str:
    """The schedule calls the reaper, each minute."""
    until = datetime.fromtimestamp(clock.now_us() / 1_000_000, UTC)
    told = stack.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Invocations",
        Dimensions=[{"Name": "FunctionName", "Value": stack.id_of("ReaperFunction")}],
        StartTime=until - timedelta(minutes=_MINUTES_SEEN),
        EndTime=until,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    if not told:
        raise Unseen(f"CloudWatch knows of no call in {_MINUTES_SEEN} minutes: look again if the stack is younger")
    return f"{sum(each['Sum'] for each in told):g} calls in {_MINUTES_SEEN} minutes"


def unsigned_is_refused(stack: Stack) -> str:
    """Who doesn't sign reads nothing."""
    answer = stack.api.ask("GET", "/runs", is_signed=False)
    if answer.status != 403:
        raise Wrong(f"an unsigned request was answered with {answer.status}: the API is open")
    return "403"


def strange_characters_arrive(stack: Stack) -> str:
    """What is signed is what arrives: spaces, pluses, percents, slashes, umlauts, in a query and in a path."""
    strange = "a b+c%2Fd/é~"
    answer = stack.api.ask("GET", f"/runs?limit=1&tag={quote(strange, safe='')}")
    if answer.status != 200:
        raise Wrong(f"a list of runs with the tag {strange!r} was answered with {_told(answer)}")
    answer = stack.api.ask("GET", f"/workflows/{quote(strange, safe='')}")
    if answer.status not in (400, 404):
        raise Wrong(f"a workflow of the name {strange!r} was answered with {_told(answer)}")
    return f"200 in a query, {answer.status} in a path"


def mistakes_are_told(stack: Stack) -> str:
    """Bad input is answered with a problem document, by this engine and not by the gateway."""
    answer = stack.api.ask("POST", "/runs", b'{"workflowSlug": 5}')
    is_problem = "problem+json" in answer.headers.get("content-type", "")
    if answer.status != 400 or not is_problem or b"workflowSlug" not in answer.data:
        raise Wrong(f"a submission with a number for a name was answered with {_told(answer)}")
    return "400, with the field"


def clocks_agree(stack: Stack) -> str:
    """This machine's clock is near AWS's: signatures and delays depend on it."""
    headers = stack.api.ask("GET", "/workflows").headers
    if "date" not in headers:
        raise Unseen("the answer tells no time")
    apart_s = abs(clock.now_us() / 1_000_000 - parsedate_to_datetime(headers["date"]).timestamp())
    if apart_s > _MOST_SKEW_S:
        raise Wrong(f"this machine's clock is {apart_s:.0f} s off: set it by NTP")
    return f"{apart_s:.0f} s apart"


def _told(answer: BaseHTTPResponse) -> str:
    return f"{answer.status}: {answer.data[:200]!r}"


def _mappings(stack: Stack) -> Mapping[str, Mapping[str, Any]]:
    """How each queue wakes the worker; that for what is urgent may be off."""
    asked = {"FunctionName": stack.id_of("WorkerFunction")}
    found = stack.client("lambda").list_event_source_mappings(**asked)["EventSourceMappings"]
    enabled = {_last(each["EventSourceArn"], ":"): each for each in found if each["State"] in ("Enabled", "Enabling")}
    names = {name: _last(stack.id_of(name), "/") for name in _QUEUES}
    if names[_QUEUES[0]] not in enabled:
        raise Wrong("no queue wakes the worker: its event source mapping is missing or disabled")
    return {name: enabled[queue] for name, queue in names.items() if queue in enabled}


def _last(address: str, separator: str) -> str:
    return address.rpartition(separator)[2]


def _most(mapping: Mapping[str, Any]) -> int | None:
    """How many may run at once by it; None where nothing limits them."""
    most: int | None = mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
    return most


def _attributes(stack: Stack, name: str) -> dict[str, Any]:
    asked = {"QueueUrl": stack.id_of(name), "AttributeNames": ["All"]}
    found: dict[str, Any] = stack.client("sqs").get_queue_attributes(**asked)["Attributes"]
    return found


def _partition(stack: Stack) -> str:
    return str(stack.function("WorkerFunction")["FunctionArn"]).split(":")[1]


POINTS: Sequence[Point] = (
    Point("the functions run, for the layers' processor", functions_run),
    Point("a function may be called by what it sends", loops_are_allowed, emulated=False),
    Point("the queue hides what is worked on", queue_hides_long_enough),
    Point("the queue wakes the worker", worker_is_woken),
    Point("the account can run more than workers", concurrency_is_left),
    Point("the table forgets, and can be restored", table_keeps_and_forgets, emulated=False),
    Point("a deleted payload is told from a missing right", lost_payloads_are_told, emulated=False),
    Point("no wake-up was tried in vain", dead_letters),
    Point("alarms are there and quiet", alarms_are_quiet),
    Point("the reaper is called", reaper_is_called),
    Point("an unsigned request is refused", unsigned_is_refused),
    Point("signed addresses arrive as they were meant", strange_characters_arrive),
    Point("a mistake is told where it is", mistakes_are_told),
    Point("the clocks agree", clocks_agree),
    Point("of many claims one wins", trial.one_claim_wins),
    Point("who lost its attempt is refused", trial.late_reports_are_refused),
    Point("what was written is found by the index", trial.the_index_follows),
    Point("a large payload comes back as it was", trial.large_payloads_come_back),
)
