"""Called by anybody who has an address that a step gave away: shows what is asked, and takes the answer, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from cascade_flow.api.callbacks import answered
from cascade_flow.api.resources import measured

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

log = Logger(service="cascade_flow")


@log.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """What API Gateway sends back; what was asked is not logged, since the address is a secret."""
    with measured():
        return answered(event)
