"""Called by a schedule: finds what nobody looks after any more and sets it going again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from cascade_flow import clock
from cascade_flow.api.resources import runtime
from cascade_flow.operations.sweep import Sweep

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

log = Logger(service="cascade_flow")
_LAST_WORDS_MS = 5_000


@log.inject_lambda_context(clear_state=True)
def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """How often what was done, and which runs nobody can deal with. What there is no time for is found by the next
    call.
    """
    left_us = max(0, context.get_remaining_time_in_millis() - _LAST_WORDS_MS) * 1_000
    swept = asdict(Sweep(runtime(), name=context.function_name).sweep(until_us=clock.now_us() + left_us))
    log.info("swept", extra=swept)
    return swept
