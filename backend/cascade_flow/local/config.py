"""`cascade.toml`: what a project says of itself. Read here and nowhere else; what it doesn't know is refused, with its
place.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cascade_flow.errors import ConfigurationError

CONFIG = "cascade.toml"
LOCAL = "local"
"""The environment that `cascade up` makes, on this machine."""

_PACKAGE = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"
_STACK = r"^[A-Za-z][A-Za-z0-9-]{0,127}$"
_SAYINGS = {_PACKAGE: "give a dotted name of Python, like my_flows", _STACK: "give letters, digits and hyphens"}
_OURS = {"WorkflowsPackage": "say `package`", "WorkflowsDir": "say `folder`", "Git": "git itself is asked"}


def _text(value: Any) -> str:
    """A template's parameter as CloudFormation takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError("give a text, a number, true or false")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Environment(_Table):
    """A stack that the project is deployed to, and how it differs from the template's defaults."""

    stack: str | None = Field(default=None, pattern=_STACK)
    region: str | None = None
    profile: str | None = None
    artifacts_bucket: str | None = None
    platform: Literal["lambda", "host"] = "lambda"
    parameters: Mapping[str, Annotated[str, BeforeValidator(_text)]] = Field(default_factory=dict)


class Config(_Table):
    """All that the file may hold."""

    package: str = Field(pattern=_PACKAGE)
    folder: str = "."
    include: list[str] = Field(default_factory=list)
    stack: str = Field(pattern=_STACK)
    sources: str | None = None
    env: Mapping[str, Environment] = Field(default_factory=dict)


def read(root: Path) -> Config:
    """The project's own words. ConfigurationError, naming each mistake and its line, where they make no sense."""
    try:
        text = (root / CONFIG).read_text(encoding="utf-8")
        return _checked(Config.model_validate(tomllib.loads(text)), text)
    except ValidationError as error:
        raise _refused(text, [(_place(each["loc"]), _said(each)) for each in error.errors()]) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{CONFIG} can't be read: {error}") from error


def _checked(config: Config, text: str) -> Config:
    if mistakes := list(_misplaced(config)):
        raise _refused(text, mistakes)
    return config


def _misplaced(config: Config) -> Iterator[tuple[list[str], str]]:
    for setting in sorted(config.env.get(LOCAL, Environment()).model_fields_set - {"parameters"}):
        yield ["env", LOCAL, setting], "the stack on this machine has none: give it to another environment"
    for name, environment in config.env.items():
        for parameter in sorted(_OURS.keys() & environment.parameters):
            yield ["env", name, "parameters", parameter], f"this is no parameter of yours: {_OURS[parameter]}"


def unknown_parameter(root: Path, env: str, name: str, known: list[str]) -> ConfigurationError:
    """The error that names a parameter which the template doesn't have."""
    text = (root / CONFIG).read_text(encoding="utf-8")
    told = f"the template has no such parameter{_meant(name, known)}"
    return _refused(text, [(["env", env, "parameters", name], told)])


def _refused(text: str, mistakes: list[tuple[list[str], str]]) -> ConfigurationError:
    told = [f"line {_line(text, place)}: {'.'.join(place)}: {said}" for place, said in mistakes]
    if not told[1:]:
        return ConfigurationError(f"{CONFIG}, {told[0]}")
    return ConfigurationError("\n  ".join([f"There are {len(told)} mistakes in {CONFIG}:", *told]))


def _place(location: tuple[int | str, ...]) -> list[str]:
    return [str(part) for part in location]


def _said(error: Any) -> str:
    if error["type"] == "missing":
        return "it is missing: add it"
    if error["type"] == "extra_forbidden":
        model = Environment if error["loc"][0] == "env" else Config
        return f"there is no such setting{_meant(str(error['loc'][-1]), list(model.model_fields))}"
    if error["type"] == "string_pattern_mismatch":
        return f"{error['input']!r} won't do: {_SAYINGS[error['ctx']['pattern']]}"
    return str(error["msg"]).removeprefix("Value error, ")


def _meant(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; is {near[0]} meant?" if near else f" (there are: {', '.join(sorted(known))})" if len(known) < 40 else ""


def _line(text: str, place: list[str]) -> int:
    """The line where a setting is given; that of the nearest table around it, where it isn't found; else the first."""
    table: list[str] = []
    found = {0: 1}
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+([^\]]+)\]", line):
            table = _dotted(header[1])
            written = table
        elif key := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            written = [*table, *_dotted(key[1])]
        else:
            continue
        if written == place[: len(written)]:
            found.setdefault(len(written), number)
    return found[max(found)]


def _dotted(key: str) -> list[str]:
    return [part.strip().strip("\"'") for part in key.split(".")]
