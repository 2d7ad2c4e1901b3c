"""How one of several concurrent actors ended."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """A value, or what was raised (a Crash, or a process's death, too)."""

    value: Any = None
    raised: BaseException | None = None

    def result(self) -> Any:
        """The value; raises what was raised."""
        if self.raised:
            raise self.raised
        return self.value
