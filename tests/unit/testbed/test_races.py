"""Processes race, and what became of each is known."""

import os
import signal

import pytest
from botocore.exceptions import ClientError

from testbed.races import Died, Lane, race
from testbed.servers import Store


def claim(lane: Lane) -> int:
    """Claim each of ten items, once in all; how many this process won."""
    client, won = lane.dynamodb(), 0
    for number in range(10):
        try:
            client.put_item(
                TableName=lane.table,
                Item={"pk": {"S": "claim"}, "sk": {"S": str(number)}},
                ConditionExpression="attribute_not_exists(pk)",
            )
            won += 1
        except client.exceptions.ConditionalCheckFailedException:
            pass
    return won


def end_differently(lane: Lane) -> str:
    if lane.number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    if lane.number == 1:
        lane.dynamodb().get_item(TableName="not-there", Key={"pk": {"S": "a"}, "sk": {"S": "b"}})
    return f"{lane.number} of {lane.of}"


@pytest.mark.servers("ministack-http", "dynamodb-local")
def test_each_claim_has_one_winner(dynamodb: Store) -> None:
    assert sum(outcome.result() for outcome in race(claim, dynamodb, processes=3)) == 10


@pytest.mark.servers("ministack-http")
def test_deaths_and_errors_are_told(dynamodb: Store) -> None:
    died, failed, ended = race(end_differently, dynamodb, processes=3)
    assert isinstance(died.raised, Died)
    assert str(died.raised) == "exit code -9"
    assert isinstance(failed.raised, ClientError)
    assert ended.result() == "2 of 3"


@pytest.mark.servers("ministack")
def test_a_server_in_this_process_is_refused(dynamodb: Store) -> None:
    with pytest.raises(ValueError, match="ministack-http"):
        race(claim, dynamodb)
