"""Steps that share a limit: of all runs together, three are at work at once, and five a second may begin."""

from __future__ import annotations

import time

from cascade_flow import Concurrency, Rate, Workflow

AT_ONCE = 3
A_SECOND = 5

crowded = Workflow("crowded")
paced = Workflow("paced")


@crowded.step
def arrive() -> int:
    return 1


@crowded.step(limit=Concurrency("gate", AT_ONCE))
def pass_the_gate(arrive: int) -> int:
    time.sleep(0.2)
    return arrive


@crowded.step(export=True)
def leave(pass_the_gate: int) -> int:
    return pass_the_gate + 1


@paced.step(limit=Rate("calls", A_SECOND, per=1), export=True)
def ring() -> int:
    return 1
