"""The only reader of the environment: one frozen model of all that can be set, and the backend that it describes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cascade_flow.aws.opening import Transport, open_client
from cascade_flow.dead_letters import SqsDeadLetters
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.secret import seal_of
from cascade_flow.dynamodb.table import Table
from cascade_flow.engine.state import Timing
from cascade_flow.errors import ConfigurationError
from cascade_flow.offload import Bucket
from cascade_flow.operations.observer import Observer
from cascade_flow.operations.runtime import Runtime
from cascade_flow.records import replace
from cascade_flow.wake import NoQueue, SqsQueue

if TYPE_CHECKING:
    from cascade_flow.backend import Backend

_PREFIX = "CASCADE_"
_DAY_US = 86_400_000_000
_OF_A_STACK = ("CASCADE_TABLE", "CASCADE_QUEUE_URL", "CASCADE_BUCKET")
_REGIONS = ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE")
"""What may say the region; a profile has one of its own."""


class Settings(BaseModel):
    """What the environment says, as CASCADE_<NAME>; defaults are for a worker in the cloud.

    `safety_ms` is what a worker leaves of its Lambda's time to report and to hand over. `metrics`: of the service only,
    of each workflow too, or none. `transport`: by which client AWS is asked.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    table: str = "cascade-flow"
    queue_url: str | None = None
    urgent_queue_url: str | None = None
    dead_letters_url: str | None = None
    bucket: str | None = None
    callbacks_url: str | None = None
    workflows: str | None = None
    lease_ms: Annotated[int, Field(ge=1_000)] = 60_000
    grace_ms: Annotated[int, Field(ge=500)] = 30_000
    heartbeat_ms: Annotated[int, Field(ge=200)] = 20_000
    worker_concurrency: Annotated[int, Field(ge=1)] | None = None
    worker_memory_mb: Annotated[int, Field(ge=128)] | None = None
    urgent_concurrency: Annotated[int, Field(ge=0)] = 0
    safety_ms: Annotated[int, Field(ge=0)] = 5_000
    retention_days: Annotated[int, Field(ge=1, le=3_650)] = 90
    due_shards: Annotated[int, Field(ge=1, le=64)] = keys.DUE_SHARDS
    runs_shards: Annotated[int, Field(ge=1, le=64)] = keys.RUNS_SHARDS
    log_level: str = "INFO"
    metrics: Literal["none", "service", "workflow"] = "workflow"
    tracing: Literal["PassThrough", "Active"] = "PassThrough"
    transport: Transport = "lean"

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The settings of this process; raises ConfigurationError, naming the variable."""
        given = os.environ if environment is None else environment
        values = {
            name.removeprefix(_PREFIX).lower(): value for name, value in given.items() if name.startswith(_PREFIX)
        }
        try:
            return cls.model_validate({name: value for name, value in values.items() if value != ""})._in_time()
        except ValidationError as error:
            first = error.errors()[0]
            variable = _PREFIX + str(first["loc"][0]).upper()
            raise ConfigurationError(f"{variable} is wrong: {first['msg']} (it is {first['input']!r})") from None

    def _in_time(self) -> Self:
        if 2 * self.heartbeat_ms > self.lease_ms:
            reason = f"a lease has {self.lease_ms} ms (CASCADE_LEASE_MS), and must outlast a heartbeat that was lost"
            raise ConfigurationError(
                f"CASCADE_HEARTBEAT_MS is wrong: Input should be at most half of a lease (it is {self.heartbeat_ms}); "
                + reason
            )
        return self

    @property
    def shards(self) -> keys.Shards:
        return keys.Shards(self.due_shards, self.runs_shards)

    @property
    def timing(self) -> Timing:
        return Timing(
            lease_us=self.lease_ms * 1_000,
            grace_us=self.grace_ms * 1_000,
            retention_us=self.retention_days * _DAY_US,
        )


def open_backend(settings: Settings | None = None, *, observer: Observer | None = None) -> Backend:
    """The backend that the settings describe, those of this process by default; the observer hears what it commits.

    Raises ConfigurationError, naming all that is missing: of this process, the table must be said.
    """
    from cascade_flow.backend import Backend  # noqa: PLC0415  (whoever needs a runtime only, as the worker, imports less)

    return Backend(open_runtime(settings or _of_this_process(os.environ), observer=observer))


def open_runtime(settings: Settings, *, observer: Observer | None = None) -> Runtime:
    """What the use cases work with, as the settings describe it. Raises ConfigurationError."""
    keys.choose_shards(settings.shards)
    opened = partial(open_client, transport=settings.transport)
    url, urgent_url = settings.queue_url, settings.urgent_queue_url
    table, client = settings.table, opened("dynamodb")
    seal = seal_of(Table(client, table))
    queue = SqsQueue(url, urgent_url=urgent_url, client=opened("sqs"), seal=seal) if url else NoQueue()
    bucket = Bucket(settings.bucket, client=opened("s3")) if settings.bucket else None
    timing = settings.timing
    runtime = Runtime.open(table, client=client, bucket=bucket, queue=queue, timing=timing, observer=observer)
    runtime = replace(runtime, callbacks_url=settings.callbacks_url)
    if not settings.dead_letters_url or not url:
        return runtime
    letters = SqsDeadLetters(settings.dead_letters_url, url, urgent_url=urgent_url, client=opened("sqs"))
    return replace(runtime, dead_letters=letters)


def _of_this_process(environment: Mapping[str, str]) -> Settings:
    missing = [name for name in _OF_A_STACK if not environment.get(name)]
    if not any(environment.get(name) for name in _REGIONS):
        missing.append(_REGIONS[0])
    if _OF_A_STACK[0] not in missing:
        return Settings.read(environment)
    raise ConfigurationError(
        f"nothing says where the engine's data is: {', '.join(missing)} are not set. `cascade env` prints them for the "
        'stack on this machine, `cascade env --stack NAME` for one on AWS; in a shell: eval "$(cascade env)"'
    )


def trace_daemon() -> str | None:
    """Where X-Ray's daemon listens beside this function; None where there is none."""
    return os.environ.get("AWS_XRAY_DAEMON_ADDRESS")


def environment_kept() -> Callable[[], None]:
    """The environment as it is now; call the answer to have it so again."""
    environment, before = os.environ, dict(os.environ)

    def restore() -> None:
        os.environ = environment  # noqa: B003  user code may have bound another mapping
        if dict(environment) != before:
            for name in environment.keys() - before.keys():
                del environment[name]
            environment.update(before)

    return restore
