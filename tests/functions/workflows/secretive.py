"""Workflows that work on what nobody else may see, well and badly."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from cascade_flow import Retry, StepContext, Workflow


class Secret(BaseModel):
    text: str


class Unspeakable:
    """What no JSON holds, and what tells all when it is shown."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


secretive = Workflow("secretive", input=Secret)


@secretive.step
def keep(input: Secret, ctx: StepContext) -> dict[str, Any]:
    return {"kept": ctx.checkpoint("text", lambda: input.text)}


@secretive.step(export=True)
def hand_on(keep: dict[str, Any]) -> str:
    return str(keep["kept"])


careless = Workflow("careless", input=Secret)


@careless.step(retry=Retry(max_attempts=2, delay=0))
def raises(input: Secret) -> None:
    raise RuntimeError(input.text)


speechless = Workflow("speechless", input=Secret)


@speechless.step(retry=Retry(max_attempts=1))
def returns(input: Secret) -> Any:
    return Unspeakable(input.text)
