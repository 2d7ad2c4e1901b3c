"""The template with all that is optional, deployed to the emulator: each parameter's branch of the template is taken.

What the emulator keeps to itself (the reaper's reserve, warm throughput, that an event source is off from the start) it
has at least taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cascade_flow.local import LocalStack, Project, down, running, up
from cascade_flow.local.deployment import client
from cascade_flow.local.state import REGION

pytestmark = pytest.mark.slow

KEY = f"arn:aws:kms:{REGION}:000000000000:key/11111111-2222-3333-4444-555555555555"
TOPIC = f"arn:aws:sns:{REGION}:000000000000:operators"
EVERYTHING = {
    "AlarmTopic": TOPIC,
    "DeletionProtection": "true",
    "DueShards": "16",
    "FailureRateWorkflow": "one",
    "Git": "0123abc main clean",
    "JwtAudience": "cascade",
    "JwtIssuer": "https://tokens.example.com",
    "KmsKeyArn": KEY,
    "Metrics": "service",
    "ReaperConcurrency": "2",
    "RunsShards": "8",
    "Tracing": "Active",
    "UrgentConcurrency": "0",
    "WarmReads": "12000",
    "WarmWrites": "8000",
    "WithDashboard": "false",
}


@pytest.fixture
def stack(project: Project) -> Iterator[LocalStack]:
    with_all = replace(project, overrides={**project.overrides, **EVERYTHING})
    try:
        list(up(with_all))
        yield running(with_all)
    finally:
        list(down(with_all))


def test_what_is_optional_can_be_had_all_at_once(stack: LocalStack) -> None:
    table = client(stack, "dynamodb").describe_table(TableName=stack.outputs["TableName"])["Table"]
    queue = client(stack, "sqs").get_queue_attributes(QueueUrl=stack.outputs["QueueUrl"], AttributeNames=["All"])
    reaper = client(stack, "lambda").get_function(FunctionName=stack.outputs["ReaperFunctionName"])
    alarms = client(stack, "cloudwatch").describe_alarms()["MetricAlarms"]
    assert table["DeletionProtectionEnabled"] is True
    assert queue["Attributes"]["KmsMasterKeyId"] == KEY
    assert reaper["Configuration"]["Environment"]["Variables"]["CASCADE_DUE_SHARDS"] == "16"
    assert "UrgentQueueUrl" not in stack.outputs
    assert "CASCADE_URGENT_QUEUE_URL" not in reaper["Configuration"]["Environment"]["Variables"]
    assert {action for alarm in alarms for action in alarm["AlarmActions"]} == {TOPIC}
    assert stack.outputs["TokenApiUrl"] != stack.outputs["ApiUrl"]
