"""Code as people write it in their first weeks: it leaves the process changed, takes it down, or returns odd values."""

from __future__ import annotations

import logging.config
import math
import os
import signal
import subprocess
import sys
import time
from io import TextIOWrapper
from typing import Annotated

from pydantic import BaseModel, Field

from cascade_flow import Retry, Skip, StepContext, Workflow

ROOT_LOGGING = {"version": 1, "handlers": {"all": {"class": "logging.StreamHandler"}}, "root": {"handlers": ["all"]}}

untidy = Workflow("untidy")


@untidy.step
def changes(ctx: StepContext) -> str:
    """What it changes is as it was when the next step runs in the same process."""
    here = os.getcwd()
    sys.stdout = TextIOWrapper(sys.stdout.buffer, write_through=True)
    logging.config.dictConfig(ROOT_LOGGING)
    os.environ["TRIAL"] = "changed"
    os.chdir("/")
    ctx.log.info("all is changed")
    return here


@untidy.step(export=True)
def after(changes: str, ctx: StepContext) -> list[bool]:
    print("printed once")
    ctx.log.info("logged once")
    return [os.getcwd() == changes, "TRIAL" in os.environ]


talkative = Workflow("talkative")


@talkative.step(export=True)
def shell(ctx: StepContext) -> str:
    subprocess.run(["sh", "-c", "echo from a child; echo to stderr >&2"], check=True)
    try:
        return input()
    except EOFError:
        return "nobody is there"


exiting = Workflow("exiting")


@exiting.step(retry=Retry(max_attempts=1))
def exits() -> None:
    print("the last words", flush=True)
    os._exit(3)


alarming = Workflow("alarming")


@alarming.step(timeout=2, retry=Retry(max_attempts=1))
def disarms() -> None:
    signal.alarm(1)
    signal.alarm(0)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        sum(range(1_000))


wordless = Workflow("wordless")


@wordless.step
def skips() -> None:
    raise Skip(None)


numberless = Workflow("numberless")


@numberless.step
def mean() -> float:
    return float("nan")


@numberless.step(export=True)
def arrived(mean: float) -> bool:
    return math.isnan(mean)


class Parcel(BaseModel):
    weight: int


class Gift(Parcel):
    card: str


lossy = Workflow("lossy")


@lossy.step(retry=Retry(max_attempts=1))
def packs() -> Parcel:
    """What the type says has no place for the card."""
    return Gift(weight=3, card="for you")


class Name(BaseModel):
    name: Annotated[str, Field(pattern=r"^\p{L}+$")] = "Ada"
    words: Annotated[str, Field(pattern=r"^(\w+\s?)+$")] = "some words"


named = Workflow("named", input=Name)


@named.step(export=True)
def greet(input: Name, ctx: StepContext) -> list[str]:
    return [input.name, ctx.idempotency_key]
