"""A workflow for the functions' tests: a fork with a nested id, a join, an exported output, logs, a failure on wish."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from cascade_flow import From, Retry, Skip, StepContext, Workflow


class Parcels(BaseModel):
    weights: list[Annotated[float, Field(gt=0)]]
    broken: bool = False
    insured: bool = True


parcels = Workflow("parcels", name="Parcels", input=Parcels)


@parcels.step(retry=Retry(max_attempts=1))
def weigh(input: Parcels, ctx: StepContext) -> float:
    ctx.log.warning("weighing %d parcels", len(input.weights))
    if input.broken:
        raise RuntimeError("the scales are broken")
    return sum(input.weights)


@parcels.step(id="price/post", timeout=30)
def post(weigh: float) -> float:
    return 2.5 * weigh


@parcels.step(id="price/insurance")
def insure(weigh: float, input: Parcels) -> float:
    if not input.insured:
        raise Skip("not insured")
    return 0.5


@parcels.step(export=True, run_if_skipped=True)
def bill(
    post: Annotated[float | None, From("price/post")] = None,
    insurance: Annotated[float | None, From("price/insurance")] = None,
) -> dict[str, float]:
    return {"total": (post or 0) + (insurance or 0)}
