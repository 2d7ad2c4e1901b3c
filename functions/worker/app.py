"""Triggered by the queue: runs the steps that wake-ups name, and goes on along their branches while time remains."""

from __future__ import annotations

import logging
import secrets
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from cascade_flow import clock
from cascade_flow.api.resources import backend, measured, settings, workflows_package
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
    return Worker(backend().runtime, discover(workflows_package()), worker_id=f"worker-{_MINE}", pace=pace)


@log.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Which messages are to be tried again: those whose work the backend could not take. Failed steps are none."""
    end_us = clock.now_us() + context.get_remaining_time_in_millis() * 1_000

    def work(record: SQSRecord) -> None:
        try:
            wake = Wake.from_message(record.body)
        except ValueError as error:
            log.warning("dropped: %s", error, extra={"message_id": record.message_id})
            return
        log.append_keys(run_id=wake.run_id)
        worker().work(wake, remaining_ms=lambda: (end_us - clock.now_us()) // 1_000)

    processor = BatchProcessor(event_type=EventType.SQS, logger=logging.getLogger("cascade_flow"))
    with measured():
        return process_partial_response(event, record_handler=work, processor=processor, context=context)
