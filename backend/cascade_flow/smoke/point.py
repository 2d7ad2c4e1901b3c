"""A point that is looked at, and what came of it. How a client's refusal is told apart from a wrong answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from cascade_flow.errors import CascadeFlowError
from cascade_flow.smoke.stack import Stack

Verdict = Literal["pass", "fail", "unseen"]
_FORBIDDEN = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_UNKNOWN = ("InvalidAction", "UnknownOperationException", "UnsupportedOperation", "NotImplemented", "InternalFailure")


class Wrong(Exception):
    """The stack is not as it must be: what is wrong, and what to do."""


class Unseen(Exception):
    """It can't be told from here: why."""


@dataclass(frozen=True)
class Point:
    """What must be true of a stack; `look` answers a remark, or raises Wrong or Unseen.

    What is not `emulated` can be seen on AWS only.
    """

    claim: str
    look: Callable[[Stack], str]
    emulated: bool = True


@dataclass(frozen=True)
class Finding:
    """A point, and what was found."""

    claim: str
    verdict: Verdict
    remark: str

    def to_json(self) -> dict[str, Any]:
        return {"point": self.claim, "verdict": self.verdict, "remark": self.remark}


def look(points: Iterable[Point], stack: Stack) -> Iterator[Finding]:
    """Look at each, in order; none is kept from being looked at by what another found."""
    for point in points:
        try:
            if stack.is_emulated and not point.emulated:
                raise Unseen("only AWS shows it")
            yield Finding(point.claim, "pass", point.look(stack))
        except Unseen as unseen:
            yield Finding(point.claim, "unseen", str(unseen))
        except (Wrong, CascadeFlowError, BotoCoreError) as error:
            yield Finding(point.claim, "fail", str(error))
        except ClientError as error:
            yield _refused(point, error)


def _refused(point: Point, error: ClientError) -> Finding:
    """What you may not look at, or a place doesn't have, is not seen; any other refusal is a failure."""
    code = error.response["Error"]["Code"]
    if code in _FORBIDDEN:
        return Finding(point.claim, "unseen", f"your credentials may not ask for {error.operation_name}")
    if code in _UNKNOWN or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 501:
        return Finding(point.claim, "unseen", f"{error.operation_name} is not known here")
    return Finding(point.claim, "fail", str(error))
