"""Called by a schedule: finds what nobody looks after any more and sets it going again.

Where there is much of it, it calls itself for further shards. Those calls end when it does, before the next minute's,
and call nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from cascade_flow import clock
from cascade_flow.api.resources import measured, runtime, telemetry
from cascade_flow.call_out import CallOut, Errand
from cascade_flow.operations.lanes import Threads
from cascade_flow.operations.pulse import Pulse
from cascade_flow.operations.sweep import Sweep

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from cascade_flow.operations.tally import Swept

log = Logger(service="cascade_flow")
_LAST_WORDS_MS = 5_000
_MB_A_LANE = 128
"""Memory is processor time: a lane for each of these shares keeps it busy while DynamoDB answers."""
_pulse = Pulse()


@cache
def _lanes(memory_mb: int) -> Threads:
    """As many as this function's share of a processor can serve."""
    return Threads(min(2 + memory_mb // _MB_A_LANE, 32))


@log.inject_lambda_context(clear_state=True)
def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """How often what was done, and which runs nobody can deal with. What there is no time for is found by the next
    call.
    """
    left_us = max(0, context.get_remaining_time_in_millis() - _LAST_WORDS_MS) * 1_000
    until_us = clock.now_us() + left_us
    with measured():
        swept = asdict(_swept(context, Errand.from_event(event), until_us))
        telemetry().swept(swept)
    log.info("swept", extra=swept)
    return swept


def _swept(context: LambdaContext, errand: Errand | None, until_us: int) -> Swept:
    lanes, call_out = _lanes(int(context.memory_limit_in_mb)), CallOut(context.function_name)
    sweep = Sweep(runtime(), name="reaper", lanes=lanes, call_out=call_out)
    if errand is None:
        return _pulse.noted(runtime(), lambda: sweep.sweep(until_us=until_us))
    return sweep.sweep(until_us=min(until_us, errand.until_us), shards=[errand.shard])
