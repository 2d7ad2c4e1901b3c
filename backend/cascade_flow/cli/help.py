"""How `--help` looks: a verb's arguments and options as people write them, without the names of Python's types."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand, TyperGroup

from cascade_flow.cli.late_reading import read_late


class Verb(TyperCommand):
    """A verb of the command `cascade`."""

    def __init__(self, *args: Any, help: str | None = None, **given: Any) -> None:
        super().__init__(*args, help=_flowing(help or ""), **given)

    def get_params(self, ctx: Any) -> list[Any]:
        return [read_late(_as_written(param)) for param in super().get_params(ctx)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words before an option whose value a shell is about to complete: it has none yet."""
        is_cut = ctx.resilient_parsing and args and args[-1].startswith("-")
        return super().parse_args(ctx, args[:-1] if is_cut else args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]


class Verbs(TyperGroup):
    """The command `cascade`."""

    def get_params(self, ctx: Any) -> list[Any]:
        return [read_late(_as_written(param)) for param in super().get_params(ctx)]


def _as_written(param: Any) -> Any:
    """What isn't given a name for its value shows none: a flag takes nothing, an argument's name tells enough."""
    if param.param_type_name == "argument" or param.metavar is None:
        param.display_type_rich = _nothing
    if isinstance(default := getattr(param, "show_default", None), str):
        param.help, param.show_default = f"{param.help} By default {default}.", False
    return param


def _flowing(text: str) -> str:
    """The text with each paragraph on one line, which the terminal breaks; what is indented stands as it is."""
    return re.sub(r"(?<=\S)\n(?=\S)", " ", text)


def _nothing(ctx: Any) -> str:
    return ""
