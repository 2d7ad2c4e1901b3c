"""Between a Python type and JSON text, both ways, through pydantic; with errors that say what did not fit.

Everything that goes from step to step passes here. JSON has no NaN and no infinity: they become null.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

from cascade_flow.errors import DefinitionError, InputInvalidError
from cascade_flow.model.events import ValidationIssue

_CARRIERS = "a pydantic model, a dataclass, a TypedDict, or plain lists, dicts, numbers and text"


class Schema(GenerateJsonSchema):
    """JSON Schema 2020-12 as pydantic makes it; but a default that JSON can't hold is refused, not left out."""

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        if kind == "non-serializable-default":
            raise PydanticInvalidForJsonSchema(detail)
        super().emit_warning(kind, detail)


@dataclass(frozen=True)
class Payload:
    """One type as it travels. Build it with `payload_of`."""

    annotation: Any
    adapter: TypeAdapter[Any]

    @property
    def type_name(self) -> str:
        return getattr(self.annotation, "__name__", None) or str(self.annotation)

    def dump(self, value: object, what: str) -> str:
        """The value as JSON text. DefinitionError, naming `what`, where it isn't of this type or JSON can't hold it."""
        try:
            return self.adapter.dump_json(self.adapter.validate_python(value), by_alias=True, round_trip=True).decode()
        except ValidationError as error:
            raise DefinitionError(
                f"{what} is {_shown(value)}, which does not fit its type {self.type_name}: {_listed(issues_of(error))}",
                issues=issues_of(error),
            ) from error
        except (ValueError, TypeError) as error:
            raise DefinitionError(f"{what} can't be stored as JSON ({error}): make it {_CARRIERS}") from error

    def load(self, text: str, what: str) -> Any:
        """The value that the JSON text stands for. InputInvalidError, naming `what`, where it is none of this type."""
        try:
            return self.adapter.validate_json(text)
        except ValidationError as error:
            raise _misfit(what, self.type_name, issues_of(error)) from error

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what `load` accepts."""
        return {"$schema": Schema.schema_dialect, **self.adapter.json_schema(schema_generator=Schema)}

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


ANYTHING = Payload(Any, TypeAdapter(Any))
"""The payload of what is not annotated: whatever JSON holds."""


def returned(function: Callable[..., Any], returns: Any, what: str) -> Payload:
    """The payload of what a function returns: of the type `returns`, else of its annotation, else anything."""
    if returns is None:
        try:
            returns = get_type_hints(function, include_extras=True).get("return", Any)
        except (NameError, TypeError):
            returns = Any
    return ANYTHING if returns is Any else payload_of(returns, what)


def issues_of(error: ValidationError) -> list[ValidationIssue]:
    """Pydantic's complaints as paths and messages."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return [ValidationIssue(path=".".join(map(str, detail["loc"])), message=detail["msg"]) for detail in details]


def _misfit(what: str, type_name: str, issues: list[ValidationIssue]) -> InputInvalidError:
    return InputInvalidError(f"{what} does not fit {type_name}: {_listed(issues)}", issues=issues)


def _listed(issues: list[ValidationIssue]) -> str:
    shown = [f"{issue.path}: {issue.message}" if issue.path else issue.message for issue in issues[:5]]
    more = [f"and {len(issues) - 5} more"] if len(issues) > 5 else []
    return "; ".join(shown + more)


def _shown(value: object) -> str:
    return f"of type {type(value).__name__}" if value is not None else "None"
