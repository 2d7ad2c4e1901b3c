"""One interface, several DynamoDB servers: who starts, how its clients are made, what it can do.

Which server a test runs on is pytest's matter (conftest); how an emulator's process lives and dies is `emulators`.
"""

import os
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property, partial
from typing import Any, ClassVar, cast

import boto3
from botocore.config import Config
from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_sqs import SQSClient

from cascade_flow.aws.opening import LIMITS, Name, Transport, lean
from cascade_flow.aws.service import Place
from cascade_flow.signing import StaticKeys
from cascade_flow.testing.memory.table_client import MemoryClient
from cascade_flow.testing.memory.tables import Memory
from testbed import inprocess, wire

REGION = "us-east-1"
CREDENTIAL = "testbed"
_session_lock = threading.Lock()  # sessions are not thread-safe, clients are
CreateTable = Callable[[DynamoDBClient, str], object]


class Server(ABC):
    """A DynamoDB server for tests. Start it once, make as many clients as you like, stop it."""

    name: ClassVar[str]
    has_sqs: ClassVar[bool] = True
    serves_processes: ClassVar[bool] = False
    endpoint_url: str | None = None
    asked_by: Transport | None = None
    """By which client the product asks it; None: as the environment says."""

    @abstractmethod
    def missing(self) -> str | None:
        """What the machine lacks for this server, and the cure; None where it can start."""

    @abstractmethod
    def start(self) -> None:
        """Start, and return when it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it; fine if it was never started."""

    def dynamodb(self, config: Config | None = None) -> DynamoDBClient:
        """A new DynamoDB client."""
        client: DynamoDBClient = self._client("dynamodb", config)
        return client

    @cached_property
    def keeper(self) -> DynamoDBClient:
        """The client that makes tables, looks into them and takes them away, and that no fault meets.

        One for all: to make one takes longer than many a test.
        """
        return self.dynamodb()

    def product_client(self, service: Name = "dynamodb") -> Any:
        """A client as the product has it: the lean one, or boto3's where the environment says so."""
        if (self.asked_by or os.environ.get("CASCADE_TRANSPORT")) == "boto3":
            return self._botocores(service)
        client = self.lean_client(service)
        wire.install_lean(client, self.transport())
        return client

    def lean_client(self, service: Name = "dynamodb") -> Any:
        """The same with nothing of the testbed's on its way: for who measures."""
        url = self.endpoint_url or f"https://{service}.{REGION}.amazonaws.com"
        return leanly(service, url, rare=partial(self._client, service, None))

    def sqs(self, config: Config | None = None) -> SQSClient:
        """A new SQS client, where the server has SQS."""
        if not self.has_sqs:
            raise NotImplementedError(f"{self.name} has no SQS: use ministack.")
        client: SQSClient = self._client("sqs", config)
        return client

    def _botocores(self, service: Name) -> Any:
        tries: Any = {"mode": "standard", "total_max_attempts": LIMITS[service].tries}
        return self._client(service, Config(retries=tries))

    @abstractmethod
    def transport(self) -> wire.Transport | None:
        """What answers requests in this process; None where the client's own connection does."""

    def _client(self, service: str, config: Config | None) -> Any:
        client = connect(service, self.endpoint_url, config)
        wire.install(client, self.transport())
        return client


def connect(service: str, endpoint_url: str | None, config: Config | None = None) -> Any:
    """A boto3 client with the testbed's region and credentials, whatever the environment says."""
    with _session_lock:
        return _session().client(service, endpoint_url=endpoint_url, config=config)


def leanly(service: Name, endpoint_url: str, *, rare: Callable[[], Any] | None = None) -> Any:
    """The same of the lean kind; `rare` opens the boto3 client that is asked for all else."""
    return lean(Place(service, endpoint_url, REGION, _keys), LIMITS[service], rare=rare)


def _keys() -> StaticKeys:
    return StaticKeys(CREDENTIAL, CREDENTIAL)


@cache
def _session() -> Any:
    """One session for all, since it reads botocore's models of the services from disk."""
    return boto3.session.Session(CREDENTIAL, CREDENTIAL, region_name=REGION)


class InProcess(Server):
    """A server that is a function in this process; nothing to stop, and no other process can reach it."""

    make_transport: ClassVar[Callable[[], wire.Transport]]

    def __init__(self) -> None:
        self._transport: wire.Transport | None = None

    def missing(self) -> str | None:
        return None

    def start(self) -> None:
        self._transport = self._transport or type(self).make_transport()

    def stop(self) -> None:
        return None

    def transport(self) -> wire.Transport | None:
        return self._transport


class MemoryServer(Server):
    """The testbed's own tables (`memory`), behind no wire: for simulations, which ask thousands of times."""

    name = "memory"
    has_sqs = False

    def __init__(self) -> None:
        self.shelf = Memory()

    def missing(self) -> str | None:
        return None

    def start(self) -> None:
        return None

    def stop(self) -> None:
        return None

    def transport(self) -> wire.Transport | None:
        return None

    def dynamodb(self, config: Config | None = None) -> DynamoDBClient:
        return cast(DynamoDBClient, MemoryClient(self.shelf))

    def product_client(self, service: Name = "dynamodb") -> Any:
        return self.dynamodb()


class MiniStack(InProcess):
    """MiniStack's handlers in this process: linearizable, fast, thread-safe; write units right."""

    name = "ministack"
    endpoint_url = "http://testbed.invalid"
    make_transport = inprocess.MiniStackTransport


class OverAWire(MiniStack):
    """The same, asked by the product's own clients alone, so that faults meet a transport of its."""

    def __init__(self, asked_by: Transport) -> None:
        super().__init__()
        self.asked_by = asked_by

    @cached_property
    def keeper(self) -> DynamoDBClient:
        return super().dynamodb()

    def dynamodb(self, config: Config | None = None) -> DynamoDBClient:
        client: DynamoDBClient = self.product_client()
        return client


class Moto(InProcess):
    """moto in this process: the shape of requests and answers; no judge of capacity, tokens or concurrency.

    The product asks it by boto3, which holds every request against AWS's own model of the service.
    """

    name = "moto"
    make_transport = inprocess.MotoTransport

    def product_client(self, service: Name = "dynamodb") -> Any:
        return self._botocores(service)


def create_table(client: DynamoDBClient, name: str) -> None:
    """The table of `protocol.md` §1, for the testbed's own tests; it can be used when this returns."""
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "q", "AttributeType": "S"},
            {"AttributeName": "due", "AttributeType": "N"},
            {"AttributeName": "rk", "AttributeType": "S"},
            {"AttributeName": "created", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "due",
                "KeySchema": [{"AttributeName": "q", "KeyType": "HASH"}, {"AttributeName": "due", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
            {
                "IndexName": "runs",
                "KeySchema": [
                    {"AttributeName": "rk", "KeyType": "HASH"},
                    {"AttributeName": "created", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["state", "slug", "tags"]},
            },
        ],
    )
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})


class Store:
    """A fresh table on a server, as a test sees it."""

    def __init__(self, server: Server, table: str) -> None:
        self.server = server
        self.table = table

    @cached_property
    def client(self) -> DynamoDBClient:
        """The test's own."""
        return self.server.dynamodb()

    @cached_property
    def product(self) -> Any:
        """The client that the product is given, which faults and meters are told of: the lean one, or this table's own
        where there is no HTTP.
        """
        return self.client if isinstance(self.server, MemoryServer) else self.server.product_client()

    def another_client(self, config: Config | None = None) -> DynamoDBClient:
        """A client of its own, with its own wire: another process, as far as faults are concerned."""
        return self.server.dynamodb(config)


@contextmanager
def fresh_table(server: Server, create: CreateTable = create_table) -> Iterator[Store]:
    """A new table on a started server, deleted at the end."""
    store = Store(server, f"test-{uuid.uuid4().hex[:12]}")
    create(server.keeper, store.table)
    try:
        yield store
    finally:
        store.product.close()
        server.keeper.delete_table(TableName=store.table)
