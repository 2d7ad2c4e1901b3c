"""Triggered by the queue: runs the steps that wake-ups name, and goes on along their branches while time remains."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from cascade_flow import clock
from cascade_flow.api.resources import measured, runtime, settings, workflows_package
from cascade_flow.authoring import discover
from cascade_flow.wake import Wake
from cascade_flow.worker.loop import Pace, Worker

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

log = Logger(service="cascade_flow")
_MINE = secrets.token_hex(4)


@cache
def worker() -> Worker:
    """This process's worker, with the workflows that the environment names. Raises ConfigurationError."""
    pace = Pace(heartbeat_ms=settings().heartbeat_ms, safety_ms=settings().safety_ms)
    return Worker(runtime(), discover(workflows_package()), worker_id=f"worker-{_MINE}", pace=pace)


@log.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Which messages are to be tried again: those that the backend could not take; where that is all, it raises."""
    end_us = clock.now_us() + context.get_remaining_time_in_millis() * 1_000

    def work(record: Mapping[str, Any]) -> None:
        try:
            wake = Wake.from_message(record["body"])
        except ValueError as error:
            log.warning("dropped: %s", error, extra={"message_id": record["messageId"]})
            return
        with log.append_context_keys(run_id=wake.run_id):
            worker().work(wake, remaining_ms=lambda: (end_us - clock.now_us()) // 1_000)

    with measured():
        return _answer(event, context, work)


def _answer(event: dict[str, Any], context: LambdaContext, work: Callable[[Mapping[str, Any]], None]) -> Any:
    if len(event["Records"]) == 1:
        work(event["Records"][0])
        return {"batchItemFailures": []}
    from aws_lambda_powertools.utilities import batch  # noqa: PLC0415  (a wake-up comes alone, unless that was changed)

    processor = batch.BatchProcessor(event_type=batch.EventType.SQS, logger=logging.getLogger("cascade_flow"))
    return batch.process_partial_response(event, record_handler=work, processor=processor, context=context)
