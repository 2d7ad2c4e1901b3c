"""A workflow whose runs begin by themselves, every night."""

from __future__ import annotations

from typing import Any

from cascade_flow import Workflow

scheduled = Workflow("scheduled")


@scheduled.step(export=True)
def report(input: dict[str, Any]) -> str:
    return f"a report of {input['of']}"


scheduled.schedule("nightly", cron="0 3 * * *", timezone="Europe/Berlin", input={"of": "tea"})
