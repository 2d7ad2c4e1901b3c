"""What a person types as JSON, a file, a duration or a pair, read with care: a mistake gets a line with its cure."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from cascade_flow.cli import formatting
from cascade_flow.errors import InvalidIdError
from cascade_flow.model.ids import check_pool, check_run_id, check_slug

_JSON = re.compile(r'\s*([\[{"-]|\d|(true|false|null|NaN|Infinity)\s*$)')
"""How a JSON value begins."""


def read_input(given: str, option: str = "--input") -> Any:
    """The value of an option: `-` for stdin, the name of a file, or JSON itself. BadParameter where it is none."""
    if given == "-":
        return _parsed(sys.stdin.buffer.read(), "what came from stdin", option)
    if (content := _content(given, option)) is not None:
        return _parsed(content, given, option)
    if not _JSON.match(given):
        said = "it is neither a file that exists nor JSON"
        raise typer.BadParameter(f"{formatting.shortened(given, 60)!r}: {said}", param_hint=option)
    return _parsed(given.encode(), formatting.shortened(given, 60), option)


def read_data(given: str) -> Any:
    """The value of `--data`: as `read_input`, or `@` and the name of a file, as curl has it."""
    if not given.startswith("@"):
        return read_input(given, "--data")
    if (content := _content(given[1:], "--data")) is None:
        raise typer.BadParameter(f"there is no file {formatting.shortened(given[1:], 60)!r}", param_hint="--data")
    return _parsed(content, given[1:], "--data")


def read_run_id(given: str) -> str:
    """A run's id as it stands, where it can be one, with what names a run inside it (`RUN/pack/17`)."""
    try:
        check_run_id(given.partition("/")[0])
    except InvalidIdError:
        raise typer.BadParameter(
            f"{formatting.shortened(given, 60)!r} is no run's id; `cascade runs` lists them"
        ) from None
    return given


def read_slug(given: str | None) -> str | None:
    """A workflow's slug as it stands, where it can be one."""
    try:
        return given and check_slug(given)
    except InvalidIdError:
        raise typer.BadParameter(
            f"{formatting.shortened(given or '', 60)!r} is no workflow's slug; `cascade workflows` lists them"
        ) from None


def read_pool(given: str | None) -> str | None:
    """A pool's name as it stands, where it can be one."""
    try:
        return None if given is None else check_pool(given)
    except InvalidIdError as error:
        raise typer.BadParameter(str(error)) from None


def read_metadata(given: Sequence[str]) -> dict[str, Any] | None:
    """The value of `--metadata`: `name=value` as often as wanted, or a JSON object."""
    found: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if each.lstrip().startswith("{"):
            found |= _parsed(each.encode(), formatting.shortened(each, 60), "--metadata")
        elif equals and name:
            found[name] = value
        else:
            raise typer.BadParameter(
                f"{formatting.shortened(each, 60)!r}: give name=value, or a JSON object", param_hint="--metadata"
            )
    return found or None


def read_seconds(given: str | None, option: str) -> float | None:
    """The seconds of a duration such as `90`, `90s`, `5m`, `2h`, `1d`."""
    if given is None:
        return None
    seconds = formatting.seconds_of(given)
    if seconds is None:
        raise typer.BadParameter(
            f"{formatting.shortened(given, 60)!r}: give a duration such as 90s, 5m, 2h or 1d", param_hint=option
        )
    return seconds


def _content(given: str, option: str) -> bytes | None:
    """What is in the file of this name; None where there is no such file."""
    path = Path(given)
    try:
        return path.read_bytes() if path.exists() and not path.is_dir() else None
    except (OSError, ValueError) as error:
        if _JSON.match(given):
            return None
        raise typer.BadParameter(
            f"{formatting.shortened(given, 60)} can't be read: {error}", param_hint=option
        ) from None


def _parsed(text: bytes, called: str, option: str) -> Any:
    from cascade_flow.api import documents  # noqa: PLC0415  (most commands read no JSON)
    from cascade_flow.errors import IssuesError, PayloadTooLargeError  # noqa: PLC0415

    try:
        return documents.read_document(text, called=called)
    except IssuesError as error:
        fault = error.issues[0]
        said = f"{called}: its {fault.path} {fault.message}" if fault.path else _whole_fault(called, fault.message)
    except PayloadTooLargeError as error:
        said = error.message
    raise typer.BadParameter(said, param_hint=option)


def _whole_fault(called: str, message: str) -> str:
    return message if message.startswith(called) else f"{called} {message}"
