"""How a step says that it need not be done. What follows for the steps after it is the engine's to decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade_flow.model.wire import well_formed


class Skip(Exception):
    """Raise it in a step to skip the step: neither a success nor a failure, and never retried.

    Whatever depends on the step is skipped too, with this step named as the origin, except steps declared with
    `run_if_skipped=True`: those run, and receive their parameter's default or None in its place.

    `reason` is shown to people: a text, or anything that has one, such as an error.
    `metadata` is stored with it: a mapping that JSON can hold.
    """

    def __init__(self, reason: object = "skipped", metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.reason = _text(reason)
        self.metadata = metadata


def _text(reason: object) -> str:
    """What is stored is always a text that says something: an error without a message says its name."""
    if reason is None or reason == "":
        return "skipped"
    try:
        text = str(reason)
    except Exception:  # noqa: BLE001  whatever their own `__str__` raises
        text = ""
    return well_formed(text or type(reason).__name__)
