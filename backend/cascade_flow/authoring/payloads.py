"""Between a Python type and JSON text, both ways, through pydantic; with errors that say what did not fit.

Everything that goes from step to step passes here. What is written is read again and compared before it is stored: a
value arrives as it was, or the step that returned it fails and says which field is in the way. Fields are written under
their aliases, and read under these and under their names. NaN and infinity are text, as `float` reads it; what has no
type, or `Any`, is JSON: a tuple arrives as a list, a date as text, a model as an object.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import to_json

from cascade_flow.authoring.core_schemas import kinds_in, one_way_fields
from cascade_flow.authoring.differences import Comparison, Difference, is_plainly_same, not_text, shown
from cascade_flow.authoring.input_schemas import InputSchema, Schema
from cascade_flow.errors import DefinitionError, InputInvalidError
from cascade_flow.model.events import ValidationIssue
from cascade_flow.operations.lax_schemas import LAX
from cascade_flow.records import dataclass

_CARRIERS = "a pydantic model, a dataclass, a TypedDict, or plain lists, dicts, numbers and text"
_ONE_WAY = "; let its validators take what its serializers write"
_BASE64 = "return text instead, such as base64, or set ser_json_bytes and val_json_bytes in the model's config"


@dataclass(frozen=True)
class Payload:
    """One type as it travels. Build it with `payload_of`."""

    annotation: Any
    adapter: TypeAdapter[Any]

    @property
    def type_name(self) -> str:
        return getattr(self.annotation, "__name__", None) or str(self.annotation)

    def dump(self, value: object, what: str) -> str:
        """The value as JSON text from which `load` makes it again.

        DefinitionError, naming `what` and the field, where the value isn't of this type or JSON can't hold it.
        """
        fitting = self.fitting(value, what)
        try:
            text, lost = self._written(fitting)
        except ValidationError as error:
            raise _refused(f"{what} can't be read as it is written", issues_of(error), _ONE_WAY) from error
        except (ValueError, TypeError) as error:
            cure = self._cure_of_bytes(fitting) if "utf-8" in str(error) else f"({error}): make it {_CARRIERS}"
            raise DefinitionError(f"{what} can't be stored as JSON {cure}") from error
        if lost is not None:
            raise _refused(f"{what} would not arrive as it is", [lost.issue()])
        return text.decode()

    def fitting(self, value: object, what: str) -> Any:
        """The value as pydantic takes it for this type. DefinitionError, naming `what`, where it doesn't."""
        try:
            return self.adapter.validate_python(value, by_name=True)
        except ValidationError as error:
            misfit = f"{what} is {_shown(value)}, which does not fit its type {self.type_name}"
            raise _refused(misfit, issues_of(error)) from error

    def _written(self, value: Any) -> tuple[bytes, Difference | None]:
        """The plainest text that is read as the value. Only where that fails are NaN and infinity looked for."""
        text = self._dumped(value)
        is_used_up = "generator" in self._kinds
        try:
            lost = self._lost(value, text)
            if lost is None or is_used_up:
                return text, lost
        except ValidationError:
            if is_used_up:
                raise
        numbers = self.adapter.dump_python(value, mode="json", by_alias=True, round_trip=True, warnings=False)
        text = to_json(numbers, inf_nan_mode="strings")
        return text, self._lost(value, text)

    def _lost(self, value: Any, text: bytes) -> Difference | None:
        arrived = self._read(text)
        if is_plainly_same(value, arrived):
            return None
        comparison = Comparison(is_open="any" in self._kinds)
        lost = comparison.difference(value, arrived)
        if lost is None and comparison.is_unsure and self._dumped(arrived) != text:
            return Difference(value, arrived)
        return lost

    @cached_property
    def _kinds(self) -> frozenset[str]:
        return kinds_in(self.adapter.core_schema)

    def _dumped(self, value: Any) -> bytes:
        return self.adapter.dump_json(value, by_alias=True, round_trip=True, warnings=False)

    def _cure_of_bytes(self, value: Any) -> str:
        path = not_text(self.adapter.dump_python(value, warnings=False))
        return f"({shown(path or ()) or 'it'} is no UTF-8 text): {_BASE64}"

    def load(self, text: str, what: str) -> Any:
        """The value that the JSON text stands for. InputInvalidError, naming `what`, where it is none of this type."""
        try:
            return self._read(text)
        except ValidationError as error:
            raise _misfit(what, self.type_name, issues_of(error)) from error

    def _read(self, text: str | bytes) -> Any:
        return self.adapter.validate_json(text, by_name=True)

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what `load` accepts, for people and for the door."""
        published = self.adapter.json_schema(schema_generator=InputSchema)
        return {"$schema": InputSchema.schema_dialect, LAX: True, **published}

    def takes_none(self) -> bool:
        """Whether None is a value of this type."""
        try:
            self.adapter.validate_json("null")
        except ValidationError:
            return False
        return True


def payload_of(annotation: Any, what: str) -> Payload:
    """The payload of a type. DefinitionError, naming `what`, where pydantic can't carry it as JSON."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        adapter.json_schema(mode="serialization", schema_generator=Schema)
    except PydanticUserError as error:
        reason = str(error).splitlines()[0]
        raise DefinitionError(f"{what} can't be carried as JSON ({reason}): make it {_CARRIERS}") from error
    return Payload(annotation, adapter)


def output_of(annotation: Any, what: str) -> Payload:
    """The payload of a type whose values are stored. DefinitionError, too, for fields that would be lost on the way."""
    payload = payload_of(annotation, what)
    if lost := one_way_fields(payload.adapter.core_schema):
        raise DefinitionError(f"{what} would lose data: {'; '.join(lost)}")
    return payload


ANYTHING = Payload(Any, TypeAdapter(Any))
"""The payload of what is not annotated: whatever JSON holds."""


def returned(function: Callable[..., Any], returns: Any, what: str) -> Payload:
    """The payload of what a function returns: of the type `returns`, else of its annotation, else anything."""
    if returns is None:
        try:
            returns = get_type_hints(function, include_extras=True).get("return", Any)
        except (NameError, TypeError):
            returns = Any
    return ANYTHING if returns is Any else output_of(returns, what)


def issues_of(error: ValidationError) -> list[ValidationIssue]:
    """Pydantic's complaints as paths and messages."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return [ValidationIssue(path=".".join(map(str, detail["loc"])), message=detail["msg"]) for detail in details]


def _refused(what: str, issues: list[ValidationIssue], cure: str = "") -> DefinitionError:
    return DefinitionError(f"{what}: {_listed(issues)}{cure}", issues=issues)


def _misfit(what: str, type_name: str, issues: list[ValidationIssue]) -> InputInvalidError:
    return InputInvalidError(f"{what} does not fit {type_name}: {_listed(issues)}", issues=issues)


def _listed(issues: list[ValidationIssue]) -> str:
    shown = [f"{issue.path}: {issue.message}" if issue.path else issue.message for issue in issues[:5]]
    more = [f"and {len(issues) - 5} more"] if len(issues) > 5 else []
    return "; ".join(shown + more)


def _shown(value: object) -> str:
    return f"of type {type(value).__name__}" if value is not None else "None"
