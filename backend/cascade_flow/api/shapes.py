"""What each request may hold: strict shapes, every field bounded, every id checked, no field that nobody knows.

A shape is made of plain data (a JSON document, a query string, a path) and turns into what the backend takes. What an
answer looks like is `representations`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from cascade_flow import clock
from cascade_flow.api.documents import DEEPEST, LARGEST_BODY_BYTES, STORE_ELSEWHERE
from cascade_flow.api.problems import MOST_ISSUES, RequestInvalidError
from cascade_flow.dynamodb.listing import Place
from cascade_flow.errors import InvalidIdError
from cascade_flow.model import ids
from cascade_flow.model.parts import ValidationIssue
from cascade_flow.model.wire import Count, JsonObject, Whole

YEAR_US = 31_536_000_000_000
LARGEST_METADATA_BYTES = 8 * 1024
MOST_TAGS = 50
LONGEST_TAG = 128
LARGEST_PRIORITY = 1_000_000
CURSOR = "^[0-9]{1,16}(~[^~]*)+$"


def _id(check: Callable[[str], str]) -> AfterValidator:
    def checked(value: str) -> str:
        try:
            return check(value)
        except InvalidIdError as error:
            raise PydanticCustomError("invalid_id", "{reason}", {"reason": str(error)}) from None

    return AfterValidator(checked)


def _reads_like(pattern: str) -> Any:
    """What the documentation says of an id, whose check is code."""
    return Field(json_schema_extra={"pattern": f"^{pattern}$", "maxLength": ids.LONGEST_ID})


def _at_most_in_a_year(time_us: int) -> int:
    if time_us > clock.now_us() + YEAR_US:
        raise PydanticCustomError("far_off", "lies more than a year ahead; it is in microseconds since 1970")
    return time_us


def _small(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    size = len(json.dumps(metadata, ensure_ascii=False).encode())
    if size > LARGEST_METADATA_BYTES:
        raise PydanticCustomError(
            "too_large",
            "has {size} bytes as JSON, and at most {limit} are taken",
            {"size": size, "limit": LARGEST_METADATA_BYTES},
        )
    return metadata


def _place(cursor: Any) -> Any:
    """A place is written as its time and its runs, between tildes, which no id holds."""
    if not isinstance(cursor, str):
        return cursor
    if not re.fullmatch(CURSOR, cursor):
        raise PydanticCustomError("cursor", "is no cursor: take nextCursor of the answer before, as it is")
    time, *run_ids = cursor.split("~")
    return Place(int(time), tuple(run_ids))


def cursor_of(place: Place) -> str:
    """The place as a text that is sent as it is."""
    return "~".join([str(place.time_us), *place.ids])


def id_of(check: Callable[[str], str]) -> tuple[Any, Any]:
    """An id of one part, which this checks."""
    return _id(check), _reads_like(ids.PART)


Slug = Annotated[str, _id(ids.check_slug), _reads_like(ids.PART)]
RunId = Annotated[str, _id(ids.check_run_id), _reads_like(ids.RUN)]
NewRunId = Annotated[str, _id(ids.check_new_run_id), _reads_like(ids.PART)]
StepId = Annotated[str, _id(ids.check_step_id), _reads_like(f"{ids.PART}(/{ids.PART})*")]
Pool = Annotated[str, _id(ids.check_pool), _reads_like(ids.PART)]
LimitName = Annotated[str, _id(ids.check_limit), _reads_like(ids.PART)]
Name = Annotated[str, Field(min_length=1, max_length=ids.LONGEST_ID)]
Tag = Annotated[str, Field(min_length=1, max_length=LONGEST_TAG)]
Tags = Annotated[list[Tag], Field(max_length=MOST_TAGS)]
Priority = Annotated[Whole, Field(ge=-LARGEST_PRIORITY, le=LARGEST_PRIORITY)]
Metadata = Annotated[JsonObject, AfterValidator(_small)]
TimeUs = Annotated[Count, AfterValidator(_at_most_in_a_year)]
Cursor = Annotated[Place, BeforeValidator(_place), WithJsonSchema({"type": "string", "pattern": CURSOR})]


class Shape(BaseModel):
    """A request, or a part of one, under its wire names; as a body it has so many bytes at the most, and is so deep.

    What is in its list `apart` is judged there, one by one: a fault of one is not the body's.
    """

    largest_bytes: ClassVar[int] = LARGEST_BODY_BYTES
    deepest: ClassVar[int] = DEEPEST
    if_too_large: ClassVar[str] = STORE_ELSEWHERE
    apart: ClassVar[str | None] = None
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", alias_generator=to_camel, defer_build=True)

    @classmethod
    def of(cls, data: object) -> Self:
        """The data in this shape. Raises RequestInvalidError, with the path of every fault."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            issues = [_issue(cls, fault) for fault in error.errors(include_url=False)[:MOST_ISSUES]]
            raise RequestInvalidError(issues=issues) from None


class Query(Shape):
    """A query string: text, so numbers are read from it; a name may stand several times where it is `repeatable`."""

    model_config = ConfigDict(strict=False)
    repeatable: ClassVar[frozenset[str]] = frozenset()


class Headers(Shape):
    """The headers that a request may have, by names in lower case; whatever else its way has added is not read."""

    model_config = ConfigDict(extra="ignore", alias_generator=lambda name: name.replace("_", "-"))


class WorkflowAddress(Shape):
    """/workflows/{slug}."""

    slug: Slug


class RunAddress(Shape):
    """/runs/{runId}."""

    run_id: RunId


class StepAddress(RunAddress):
    """/runs/{runId}/steps/{stepId}."""

    step_id: StepId


class EventAddress(RunAddress):
    """/runs/{runId}/events/{event}."""

    event: StepId


def _issue(shape: type[Shape], fault: ErrorDetails) -> ValidationIssue:
    names = {name: field.alias for name, field in shape.model_fields.items()}
    path = ".".join(str(names.get(str(part), part)) for part in fault["loc"])
    if fault["type"] != "extra_forbidden":
        return ValidationIssue(path=path, message=fault["msg"])
    known = ", ".join(str(name) for name in names.values()) or "none"
    return ValidationIssue(path=path, message=f"there is no such field; there are: {known}")
