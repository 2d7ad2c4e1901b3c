"""Calls further reapers out: each is an invocation of the same function, for one shard of the due index.

It is a hint, as a wake-up is: one that never comes leaves its shard to the next minute's sweep.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from cascade_flow.aws.boto import open_boto
from cascade_flow.aws.failures import Failure, asked
from cascade_flow.records import dataclass

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Errand:
    """What a further reaper is to do: sweep a shard until a time, at which whoever has called it ends as well."""

    shard: str
    until_us: int

    def to_event(self) -> str:
        return json.dumps({"shard": self.shard, "untilUs": self.until_us})

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self | None:
        """None where a schedule has called."""
        return cls(str(event["shard"]), int(event["untilUs"])) if "shard" in event else None


class CallOut:
    """Invokes a function, without waiting for its answer."""

    def __init__(self, function_name: str, *, client: Any = None) -> None:
        self._function_name = function_name
        self._given = client

    def __call__(self, shard: str, until_us: int) -> bool:
        """Whether the errand was taken."""
        event = Errand(shard, until_us).to_event()
        wish = {"FunctionName": self._function_name, "InvocationType": "Event", "Payload": event}
        try:
            asked(lambda: self._client.invoke(**wish))
        except Failure as error:
            _log.warning("no further reaper was called out for %s, this one goes on with it: %s", shard, error)
            return False
        return True

    @cached_property
    def _client(self) -> Any:
        """Made when it is needed: nothing is behind in most minutes."""
        return self._given or open_boto("lambda", connect_s=3, read_s=10, tries=3)
