"""Servers answer, and a test's table is its own."""

import threading

import pytest

from testbed.servers import Server, Store, fresh_table

pytestmark = pytest.mark.servers("ministack")

KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}


@pytest.mark.servers("all")
def test_a_written_item_is_read_back(dynamodb: Store) -> None:
    dynamodb.client.put_item(TableName=dynamodb.table, Item=KEY | {"blob": {"B": b"\x00\xff"}})
    read = dynamodb.another_client().get_item(TableName=dynamodb.table, Key=KEY)
    assert read["Item"]["blob"]["B"] == b"\x00\xff"


def test_tables_are_fresh_and_deleted(server: Server) -> None:
    with fresh_table(server) as first, fresh_table(server) as second:
        first.client.put_item(TableName=first.table, Item=KEY)
        assert "Item" not in second.client.get_item(TableName=second.table, Key=KEY)
    assert first.table not in server.dynamodb().list_tables()["TableNames"]


def test_threads_share_a_table_without_losing_writes(dynamodb: Store) -> None:
    def count() -> None:
        client = dynamodb.another_client()
        for _ in range(50):
            client.update_item(
                TableName=dynamodb.table,
                Key=KEY,
                UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dynamodb.client.get_item(TableName=dynamodb.table, Key=KEY)["Item"]["n"] == {"N": "200"}


@pytest.mark.servers("moto", "ministack")
def test_queues_carry_messages(server: Server) -> None:
    sqs = server.sqs()
    url = sqs.create_queue(QueueName="hints")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="wake")
    messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"]
    assert [message["Body"] for message in messages] == ["wake"]
    sqs.delete_queue(QueueUrl=url)
