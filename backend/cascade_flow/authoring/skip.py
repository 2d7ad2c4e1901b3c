"""How a step says that it need not be done. What follows for the steps after it is the engine's to decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Skip(Exception):
    """Raise it in a step to skip the step: neither a success nor a failure, and never retried.

    Whatever depends on the step is skipped too, with this step named as the origin, except steps declared with
    `run_if_skipped=True`: those run, and receive their parameter's default or None in its place.

    `reason` is shown to people: a text, or anything that has one, such as an error.
    `metadata` is stored with it: a mapping that JSON can hold.
    """

    def __init__(self, reason: object = "skipped", metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.metadata = metadata
