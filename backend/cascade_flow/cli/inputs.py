"""What a person types as JSON, a file, a duration or a pair, read with care: a mistake gets a line with its cure."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from cascade_flow.cli import formatting
from cascade_flow.errors import InvalidIdError
from cascade_flow.model.ids import check_run_id


def read_input(given: str) -> Any:
    """The value of `--input`: `-` for stdin, the name of a file, or JSON itself. BadParameter where it is none."""
    if given == "-":
        return _parsed(sys.stdin.read(), "what came from stdin")
    path = Path(given)
    if len(given) < 4_096 and "\n" not in given and path.is_file():
        return _parsed(_text(path), given)
    try:
        return json.loads(given)
    except json.JSONDecodeError as error:
        looks_like_json = given.lstrip()[:1] in ("{", "[", '"')
        said = _fault(error) if looks_like_json else "it is neither a file that exists nor JSON"
        raise typer.BadParameter(f"{formatting.shortened(given, 60)}: {said}", param_hint="--input") from None


def read_run_id(given: str) -> str:
    """A run's id as it stands, where it can be one."""
    try:
        return check_run_id(given)
    except InvalidIdError:
        raise typer.BadParameter(f"{given!r} is no run's id; `cascade runs` lists them") from None


def read_metadata(given: Sequence[str]) -> dict[str, Any] | None:
    """The value of `--metadata`: `name=value` as often as wanted, or a JSON object."""
    found: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if each.lstrip().startswith("{"):
            found |= _object(each)
        elif equals and name:
            found[name] = value
        else:
            raise typer.BadParameter(f"{each!r}: give name=value, or a JSON object", param_hint="--metadata")
    return found or None


def read_seconds(given: str | None, option: str) -> float | None:
    """The seconds of a duration such as `90`, `90s`, `5m`, `2h`, `1d`."""
    if given is None:
        return None
    seconds = formatting.seconds_of(given)
    if seconds is None:
        raise typer.BadParameter(f"{given!r}: give a duration such as 90s, 5m, 2h or 1d", param_hint=option)
    return seconds


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} can't be read: {error}", param_hint="--input") from None


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"{where}: {_fault(error)}", param_hint="--input") from None


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(
            f"{formatting.shortened(text, 60)}: {_fault(error)}", param_hint="--metadata"
        ) from None
    return dict(value)


def _fault(error: json.JSONDecodeError) -> str:
    return f"this is no JSON: {error.msg} (line {error.lineno}, column {error.colno})"
