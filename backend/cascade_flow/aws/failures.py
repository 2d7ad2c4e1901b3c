"""What can go wrong with a request to AWS, whoever sent it: botocore's errors become these.

botocore is never imported for that: where nobody has imported it, nobody can have raised what is its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")


class Failure(Exception):
    """A request to AWS that came to nothing."""


class ServiceError(Failure):
    """The service's own refusal: `response` holds its `Error` (Code, Message), and what else it said."""

    def __init__(self, response: Mapping[str, Any], operation: str) -> None:
        self.response = response
        said = response["Error"]
        super().__init__(f"An error occurred ({said['Code']}) when calling {operation}: {said.get('Message', '')}")

    @property
    def code(self) -> str:
        return str(self.response["Error"]["Code"])

    @property
    def status(self) -> int:
        return int(self.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))


class NotReached(Failure):
    """No answer, or none that is whole."""


class NoCredentials(Failure):
    """Nothing says who asks."""


class NoRegion(Failure):
    """Nothing says where to ask."""


class NoRequest(Failure):
    """What was to be sent is no request of this service."""


def asked(send: Callable[[], _Answer]) -> _Answer:
    """What a request answers, by whichever client; raises Failure."""
    try:
        return send()
    except Failure:
        raise
    except Exception as error:
        failure = _of_botocore(error)
        if failure is not None:
            raise failure from error
        raise


def _of_botocore(error: Exception) -> Failure | None:
    known: Any = sys.modules.get("botocore.exceptions")
    if known is None or not isinstance(error, known.BotoCoreError | known.ClientError):
        return None
    if isinstance(error, known.ClientError):
        refused: Any = error
        return ServiceError(refused.response, refused.operation_name)
    kinds = {
        NoCredentials: (known.NoCredentialsError, known.PartialCredentialsError),
        NoRegion: known.NoRegionError,
        NoRequest: known.ParamValidationError,
    }
    kind = next((kind for kind, theirs in kinds.items() if isinstance(error, theirs)), NotReached)
    return kind(str(error))
