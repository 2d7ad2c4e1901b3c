"""A queue of this process takes and fails as one behind SQS's protocol does; a mailbox looks at what is said in it."""

from collections.abc import Callable
from typing import Any

import pytest

from cascade_flow import DynamoDBBackend
from cascade_flow.testing.memory.queue_client import QueueClient
from cascade_flow.wake import Wake
from contract.outside import register, step, submit
from simulated_queue import Mailbox
from testbed.faults import Kind, at, faults
from testbed.servers import Server, Store
from testbed.wire import REFUSALS

BATCH: Any = [{"Id": str(n), "MessageBody": f"m{n}", "DelaySeconds": 0} for n in range(3)]
Seen = Callable[[], list[str]]


def in_memory(_: Server) -> tuple[Any, str, Seen]:
    taken: list[str] = []
    return QueueClient(lambda body, delay_s: taken.append(f"{body}" if not delay_s else "")), "", lambda: taken


def behind_sqs(server: Server) -> tuple[Any, str, Seen]:
    client: Any = server.sqs()
    url = client.create_queue(QueueName="hints-of-a-test")["QueueUrl"]
    client.purge_queue(QueueUrl=url)

    def seen() -> list[str]:
        got = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
        return [message["Body"] for message in got.get("Messages", [])]

    return client, url, seen


@pytest.mark.servers("ministack")
@pytest.mark.parametrize("made", [in_memory, behind_sqs])
@pytest.mark.parametrize(
    ("kind", "told", "came"),
    [
        (None, 3, ["m0", "m1", "m2"]),
        (Kind.HALF, 1, ["m2"]),
        (Kind.LOST, 3, []),
        (Kind.LATE, 3, []),
        (Kind.DOUBLED, 3, ["m0", "m0", "m1", "m1", "m2", "m2"]),
        (Kind.DROP_AFTER, 3, ["m0", "m0", "m1", "m1", "m2", "m2"]),
        (Kind.DROP_BEFORE, 3, ["m0", "m1", "m2"]),
        (Kind.THROTTLE, 3, ["m0", "m1", "m2"]),
        (Kind.ERROR_500, 3, ["m0", "m1", "m2"]),
    ],
)
def test_a_batch_may_be_lost_in_part_late_or_doubled(
    server: Server, made: Callable[[Server], Any], kind: Kind | None, told: int, came: list[str]
) -> None:
    client, url, seen = made(server)
    with faults(at({1: kind} if kind else {}), client):
        answer = client.send_message_batch(QueueUrl=url, Entries=BATCH)
    assert len(answer["Successful"]) == told
    assert len(answer.get("Failed", [])) == 3 - told
    assert sorted(filter(None, seen())) == came


@pytest.mark.servers("ministack")
@pytest.mark.parametrize("made", [in_memory, behind_sqs])
def test_a_batch_may_be_refused_for_good(server: Server, made: Callable[[Server], Any]) -> None:
    client, url, seen = made(server)
    with faults(at({1: Kind.REFUSED}), client) as broken, pytest.raises(REFUSALS, match="AccessDenied"):
        client.send_message_batch(QueueUrl=url, Entries=BATCH)
    assert len(broken.log) == 1
    assert seen() == []


@pytest.mark.parametrize(
    "wake",
    [
        Wake("nobody"),
        Wake("nobody", "a", "a", 1),
        Wake("run", "a", "a", 2),
        Wake("run", "a", "b", 1),
        Wake("run", "c", "c", 1),
        Wake("run", "d", "d", 1),
    ],
    ids=["no run", "no branch", "a later attempt", "a later step", "a join that is not open", "a step that is none"],
)
def test_a_mailbox_takes_no_wake_up_of_what_is_not_there(backend: DynamoDBBackend, dynamodb: Store, wake: Wake) -> None:
    register(backend, step("a"), step("b", "a"), step("r"), step("c", "b", "r"))
    mailbox, run_id = Mailbox(dynamodb), submit(backend)
    mailbox.send([Wake(run_id), Wake(run_id, "a", "a", 1)])
    untrue = Wake(wake.run_id.replace("run", run_id), wake.branch, wake.step, wake.attempt)
    for send in (lambda: mailbox.send([untrue]), mailbox.must_have_been_true):
        with pytest.raises(AssertionError, match="before what it names"):
            send()
    assert len(mailbox.wakes) == 2
