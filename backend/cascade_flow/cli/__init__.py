"""The command line: `cascade up`, `cascade run`, and what else a person types. Only words and tables are made here."""

from __future__ import annotations


def main() -> None:
    """The entry point of the command `cascade`."""
    from cascade_flow.cli.app import main as run_app  # noqa: PLC0415  (so that nobody else pays for it)

    run_app()
