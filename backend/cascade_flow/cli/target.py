"""Which engine a command speaks to, and the options that say so: the same for every verb, and before the verb too.

The engine on this machine, a stack in AWS by its name, or an address. Everything that takes long to import is imported
when it is needed, so that `--help` is quick.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade_flow.cli.screen import Screen
from cascade_flow.errors import ConfigurationError

if TYPE_CHECKING:
    from cascade_flow.client import Client
    from cascade_flow.local.elsewhere import Elsewhere

_PANEL = "Where, and how to answer"

StackOption = Annotated[
    str | None,
    typer.Option("--stack", metavar="NAME", help="A stack in AWS, by its CloudFormation name.", rich_help_panel=_PANEL),
]
EnvOption = Annotated[
    str | None,
    typer.Option(
        "--env", metavar="NAME", help="A stack in AWS, by its environment in cascade.toml.", rich_help_panel=_PANEL
    ),
]
RegionOption = Annotated[
    str | None,
    typer.Option("--region", metavar="REGION", help="The stack's AWS region, if not yours.", rich_help_panel=_PANEL),
]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The API's address, in place of a stack.", rich_help_panel=_PANEL),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Answer with JSON, and nothing else on stdout.", rich_help_panel=_PANEL)
]


@dataclass(frozen=True)
class Target:
    """Where the engine is, and how the answer is wanted."""

    stack: str | None = None
    env: str | None = None
    region: str | None = None
    url: str | None = None
    as_json: bool = False

    @cached_property
    def screen(self) -> Screen:
        return Screen(self.as_json)

    @property
    def is_local(self) -> bool:
        return not (self.stack or self.env or self.url)

    @cached_property
    def elsewhere(self) -> Elsewhere | None:
        """The stack in AWS that is named, if one is. Raises ConfigurationError."""
        if not (self.stack or self.env):
            return None
        from cascade_flow.local import elsewhere  # noqa: PLC0415  (what --help and the stack here don't need)

        return elsewhere.meant(Path.cwd(), env=self.env, stack=self.stack, region=self.region)

    @property
    def here(self) -> Path:
        """Where the project is whose stack runs on this machine. Raises ConfigurationError."""
        if self.region:
            raise ConfigurationError("--region is that of a stack in AWS: name the stack too, with --stack or --env")
        return Path.cwd()

    def client(self) -> Client:
        """Raises ConfigurationError where there is no engine, or it can't be told which is meant."""
        return open_client(self)

    def environment(self) -> dict[str, str]:
        """The variables by which a program reaches the engine. Raises as `client`."""
        return environment_of(self)

    def command(self, text: str) -> str:
        """A command that a person may type next, for the same engine."""
        named = {"--stack": self.stack, "--env": self.env, "--url": self.url, "--region": self.region}
        flags = "".join(f" {option} {value}" for option, value in named.items() if value)
        return f"cascade {text}{flags}"

    def under(self, other: Target) -> Target:
        """This place, with what it doesn't say taken from what stood before the verb."""
        elsewhere = not self.is_local
        return Target(
            stack=self.stack if elsewhere else other.stack,
            env=self.env if elsewhere else other.env,
            region=self.region or other.region,
            url=self.url if elsewhere else other.url,
            as_json=self.as_json or other.as_json,
        )


def open_client(target: Target) -> Client:
    """A client of the engine that is meant."""
    from cascade_flow.local import endpoints  # noqa: PLC0415  (half a second that --help needn't take)

    if target.url:
        return endpoints.address_client(target.url, region=target.region)
    if target.elsewhere:
        return endpoints.stack_client(target.elsewhere)
    return endpoints.local_client(target.here)


def environment_of(target: Target) -> dict[str, str]:
    """The variables by which a program reaches the engine that is meant."""
    from cascade_flow.local import endpoints  # noqa: PLC0415  (half a second that --help needn't take)

    if target.url:
        raise ConfigurationError("an address tells nothing of the table behind it: name the stack with --stack")
    if target.elsewhere:
        return endpoints.stack_environment(target.elsewhere)
    return endpoints.local_environment(target.here)


def targeted(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb, whose first parameter is the place, the options that say which one."""
    return _with_options(verb, _OPTIONS)


def targeted_without(*refused: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The same for a verb that refuses some of these options: it reads them, to say why, and hides them in `--help`."""

    def decorated(verb: Callable[..., None]) -> Callable[..., None]:
        return _with_options(verb, {**_OPTIONS, **{name: _hidden(name) for name in refused}})

    return decorated


_OPTIONS: dict[str, Any] = {
    "stack": StackOption,
    "env": EnvOption,
    "region": RegionOption,
    "url": UrlOption,
    "as_json": JsonOption,
}
ELSEWHERE = ("stack", "env", "region", "url")
"""What names an engine that is not on this machine."""


def _hidden(name: str) -> Any:
    return Annotated[str | None, typer.Option(f"--{name}", hidden=True)]


def _with_options(verb: Callable[..., None], options: Mapping[str, Any]) -> Callable[..., None]:
    own = list(inspect.signature(verb, eval_str=True).parameters.values())[1:]

    @wraps(verb)
    def command(
        context: typer.Context,
        *,
        stack: str | None,
        env: str | None,
        region: str | None,
        url: str | None,
        as_json: bool,
        **given: Any,
    ) -> None:
        before = context.obj if isinstance(context.obj, Target) else Target()
        target = Target(stack, env, region, url, as_json).under(before)
        if target.url and (target.stack or target.env):
            other = "--stack" if target.stack else "--env"
            raise ConfigurationError(f"{other} and --url both say where the engine is: give one of them")
        verb(target, **given)

    kind = inspect.Parameter.KEYWORD_ONLY
    reach = [
        inspect.Parameter(name, kind, default=False if name == "as_json" else None, annotation=option)
        for name, option in options.items()
    ]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    own = [parameter.replace(kind=kind) for parameter in own]
    command.__signature__ = inspect.Signature([context, *own, *reach])  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in [context, *own, *reach]}
    return command
