"""A workflow whose every mistake has been looked for: its steps resolved, its graph without cycles, its version known.

Made from declarations by `define`, and never changed afterwards. What is registered is made from it here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeVar

from cascade_flow.authoring.durations import Duration, milliseconds
from cascade_flow.authoring.parameters import Names
from cascade_flow.authoring.payloads import Payload, payload_of
from cascade_flow.authoring.steps import Declaration, Step, resolve
from cascade_flow.authoring.version import version_id
from cascade_flow.errors import DefinitionError, InvalidIdError
from cascade_flow.model.ids import check_slug
from cascade_flow.model.workflows import GitInfo, WorkflowRegistration
from cascade_flow.operations.validation import defect_of

T = TypeVar("T")

DEFAULT_TIMEOUT = timedelta(days=7)
LONGEST_TIMEOUT = timedelta(days=365)


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a workflow is called and takes, without its steps."""

    slug: str
    name: str
    location: str
    input_type: Any
    timeout_us: int

    @classmethod
    def of(cls, slug: str, *, name: str | None, location: str, input_type: Any, timeout: Duration) -> Head:
        """The head, checked. DefinitionError for a slug or a timeout that is none."""
        try:
            check_slug(slug)
        except InvalidIdError as error:
            raise DefinitionError(str(error)) from error
        timeout_us = milliseconds(timeout, "timeout") * 1000
        if timeout_us > LONGEST_TIMEOUT // timedelta(microseconds=1):
            raise DefinitionError(f"timeout is {timeout!r}: at most a year")
        return cls(slug=slug, name=name or slug, location=location, input_type=input_type, timeout_us=timeout_us)


@dataclass(frozen=True)
class Definition:
    """A workflow that can be registered and run. Steps are in declared order."""

    head: Head
    steps: Mapping[str, Step]
    input: Payload | None

    @cached_property
    def input_schema(self) -> dict[str, Any] | None:
        """The JSON Schema (2020-12) of the input; None where the workflow takes anything."""
        return self.input.schema() if self.input else None

    @cached_property
    def version_id(self) -> str:
        head = self.head
        return version_id(head.slug, self.steps.values(), input_schema=self.input_schema, timeout_us=head.timeout_us)

    def registration(self, *, git: GitInfo | None = None) -> WorkflowRegistration:
        """The workflow as it is registered; `git` says where its code comes from (see `git_info`)."""
        return WorkflowRegistration(
            slug=self.head.slug,
            name=self.head.name,
            location=self.head.location,
            input_schema_json=self.input_schema,
            steps=[step.definition for step in self.steps.values()],
            version_id=self.version_id,
            git=git,
            timeout_us=self.head.timeout_us,
        )


def define(head: Head, declarations: Sequence[Declaration]) -> Definition:
    """The definition, or one DefinitionError that names all mistakes found, each with its step and the cure."""
    place = f"workflow {head.slug!r}"
    if not declarations:
        raise DefinitionError(f"{place} has no steps: put @{head.slug}.step above a function")
    names = Names({declared.id: declared.function for declared in declarations})
    payload = _placed(f"{place}, input", lambda: _input(head.input_type))
    steps = _resolved(place, declarations, names=names, input_type=head.input_type)
    _check_cycles(place, steps)
    return Definition(head, steps, payload)


def placed(place: str, error: DefinitionError) -> DefinitionError:
    """The same error, saying where it was made."""
    return DefinitionError(f"{place}: {error}", issues=error.issues)


def _input(input_type: Any) -> Payload | None:
    if input_type is None:
        return None
    payload = payload_of(input_type, "the input's type")
    if defect := defect_of(payload.schema()):
        raise DefinitionError(f"its JSON Schema can't be checked: {defect.path}: {defect.message}", issues=[defect])
    return payload


def _resolved(place: str, declarations: Iterable[Declaration], *, names: Names, input_type: Any) -> dict[str, Step]:
    steps, errors = {}, []
    for declared in declarations:
        try:
            steps[declared.id] = resolve(declared, names=names, input_type=input_type)
        except DefinitionError as error:
            errors.append(placed(f"{place}, step {declared.id!r}", error))
    if errors:
        raise errors[0] if len(errors) == 1 else DefinitionError("\n".join(map(str, errors)))
    return steps


def _check_cycles(place: str, steps: Mapping[str, Step]) -> None:
    try:
        TopologicalSorter({step.id: step.dependencies for step in steps.values()}).prepare()
    except CycleError as error:
        circle = " → ".join(error.args[1])
        raise DefinitionError(
            f"{place}: these steps wait for each other: {circle} (each one comes before the next): take out one edge"
        ) from error


def _placed(place: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except DefinitionError as error:
        raise placed(place, error) from error
