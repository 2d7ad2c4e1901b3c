"""A workflow whose every mistake has been looked for: its steps resolved, its graph without cycles, its version known.

Made from declarations by `define`, and never changed afterwards. What is registered is made from it here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

from cascade_flow.authoring.durations import Duration, milliseconds
from cascade_flow.authoring.fits import misfit
from cascade_flow.authoring.mistakes import Mistake, Mistakes, Place, definition_error, shown
from cascade_flow.authoring.parameters import Names
from cascade_flow.authoring.payloads import Payload, payload_of
from cascade_flow.authoring.steps import Declaration, Step, resolve
from cascade_flow.authoring.version import version_id
from cascade_flow.errors import DefinitionError, InvalidIdError
from cascade_flow.graph import too_late
from cascade_flow.model.ids import check_slug
from cascade_flow.model.workflows import GitInfo, RunLimit, StepLimit, WorkflowRegistration
from cascade_flow.records import dataclass, replace

DEFAULT_TIMEOUT = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a workflow is called and takes, without its steps."""

    slug: str
    name: str
    location: str
    input_type: Any
    timeout_us: int
    run_limit: RunLimit | None = None
    place: Place | None = None

    @classmethod
    def of(cls, slug: str, *, name: str | None, location: str, input_type: Any, timeout: Duration) -> Head:
        """The head, checked. DefinitionError, with every mistake, for a slug, name or timeout that is none."""
        mistakes, timeout_us = Mistakes(), 0
        with mistakes.noted():
            _check_slug(slug)
        with mistakes.noted():
            _check_name(name)
        with mistakes.noted():
            timeout_us = milliseconds(timeout, "timeout") * 1000
        mistakes.check()
        return cls(
            slug=slug,
            name=name or slug,
            location=location,
            input_type=input_type,
            timeout_us=timeout_us,
            place=Place.of_caller(),
        )


def run_limit_of(max_running: int | None, singleton: str | None, key: str | None) -> RunLimit | None:
    """How many runs go on at once, as it is registered."""
    if max_running is None and singleton is None and key is None:
        return None
    from cascade_flow.authoring.limits import run_limit  # noqa: PLC0415  (few workflows have one)

    return run_limit(max_running, singleton, key)


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
    def codes(self) -> Mapping[str, Step]:
        """All that is carried out some time: the steps, and what undoes them, by their ids."""
        undos = (step.undo for step in self.steps.values() if step.undo is not None)
        return {**self.steps, **{undo.id: undo for undo in undos}}

    @cached_property
    def version_id(self) -> str:
        head = self.head
        return version_id(
            head.slug,
            self.steps.values(),
            input_schema=self.input_schema,
            timeout_us=head.timeout_us,
            run_limit=head.run_limit,
        )

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
            run_limit=self.head.run_limit,
        )


def define(
    head: Head, declarations: Sequence[Declaration], flawed: Flawed, undos: Sequence[Declaration] = ()
) -> Definition:
    """The definition, or one DefinitionError that names all mistakes found, each with its step and the cure.

    `flawed` are the declarations that were none: their steps may be named by others. `undos` are what undoes steps.
    """
    whole = f"workflow {head.slug!r}"
    mistakes, payload = Mistakes(), None
    with mistakes.noted(f"{whole}, input", head.place):
        payload = _input(head.input_type)
        _check_key(head.run_limit, payload)
    mistakes.found += flawed.mistakes.found
    steps: dict[str, Step] = {}
    names = Names({**flawed.steps, **{declared.id: declared.function for declared in declarations}})
    for declared in declarations:
        with mistakes.noted(f"{whole}, {declared.kind} {declared.id!r}", declared.place):
            steps[declared.id] = _resolved(declared, names, head.input_type, declarations)
            _check_key(declared.limit, payload)
    for step in steps.values():
        with mistakes.noted(f"{whole}, {step.declared.kind} {step.id!r}", step.declared.place):
            _check_types(step, steps)
    if any(declared.children for declared in declarations):
        steps = _with_children(whole, steps, mistakes)
    for declared in undos:
        with mistakes.noted(f"{whole}, undo {declared.id!r}", declared.place):
            _add_undo(declared, names, steps, head.input_type)
            _check_key(declared.limit, payload)
    with mistakes.noted():
        _check_graph(head, steps, complete=not mistakes.found)
        mistakes.found += [] if mistakes.found else _delayed_too_long(head, steps)
    mistakes.check()
    return Definition(head, steps, payload)


def _resolved(declared: Declaration, names: Names, input_type: Any, declarations: Sequence[Declaration]) -> Step:
    if declared.children is not None:
        from cascade_flow.authoring.growing import resolve_growing  # noqa: PLC0415  (most workflows don't grow)

        return resolve_growing(declared, names=names, input_type=input_type, declarations=declarations)
    if declared.event is None:
        return resolve(declared, names=names, input_type=input_type)
    from cascade_flow.authoring.events import resolve_event  # noqa: PLC0415  (most workflows have no events)

    return resolve_event(declared, names=names)


def _add_undo(declared: Declaration, names: Names, steps: dict[str, Step], input_type: Any) -> None:
    from cascade_flow.authoring.undo import resolve_undo, undone_by  # noqa: PLC0415  (few workflows undo anything)

    undone = undone_by(declared, names, steps)
    if undone is not None:
        undo = resolve_undo(declared, undone, input_type=input_type)
        _check_types(undo, steps)
        steps[undone.id] = replace(undone, undo=undo)


def _with_children(whole: str, steps: Mapping[str, Step], mistakes: Mistakes) -> dict[str, Step]:
    """The steps, told what maps among them go over and give."""
    from cascade_flow.authoring.growing import connected  # noqa: PLC0415  (most workflows don't grow)

    known = dict(steps)
    for step in steps.values():
        with mistakes.noted(f"{whole}, {step.declared.kind} {step.id!r}", step.declared.place):
            known[step.id] = connected(step, steps)
    return known


class Flawed:
    """What was declared and is no step: the mistakes, and what the steps would have been called."""

    def __init__(self) -> None:
        self.mistakes = Mistakes()
        self.steps: dict[str, Callable[..., Any]] = {}


def _check_slug(slug: str) -> None:
    try:
        check_slug(slug)
    except InvalidIdError as error:
        raise DefinitionError(str(error)) from error


def _check_name(name: str | None) -> None:
    if name is not None and not isinstance(name, str):
        raise DefinitionError(f"name is {shown(name)}: give a text")


def _input(input_type: Any) -> Payload | None:
    if input_type is None:
        return None
    from cascade_flow.operations.validation import defect_of  # noqa: PLC0415  (many workflows take no input)

    payload = payload_of(input_type, "the input's type")
    if defect := defect_of(payload.schema()):
        raise DefinitionError(f"its JSON Schema can't be checked: {defect.path}: {defect.message}", issues=[defect])
    return payload


def _check_key(limit: StepLimit | RunLimit | None, payload: Payload | None) -> None:
    """The field by which a limit is kept must be one of the input's, where that says what it has."""
    if limit is not None and limit.key is not None and payload is not None:
        from cascade_flow.authoring.limits import check_key  # noqa: PLC0415  (most workflows have none)

        check_key(limit.key, payload.schema())


def _check_types(step: Step, steps: Mapping[str, Step]) -> None:
    """What a step is given must be able to fit what it takes."""
    mistakes = Mistakes()
    for parameter in step.parameters:
        source = steps.get(parameter.step_id or "")
        if source is not None and (reason := misfit(source.gives, parameter.payload)):
            with mistakes.noted():
                raise DefinitionError(
                    f"parameter {parameter.name!r} takes {parameter.payload.type_name}, and {source.declared.kind} "
                    f"{source.id!r} {source.returns} {source.gives.type_name}: {reason}; mend one of the two types"
                )
    mistakes.check()


def _check_graph(head: Head, steps: Mapping[str, Step], *, complete: bool) -> None:
    whole = f"workflow {head.slug!r}"
    if not steps and complete:
        raise _of_whole(head, f"{whole} has no steps: put @{head.slug}.step above a function")
    known = {step.id: [other for other in step.dependencies if other in steps] for step in steps.values()}
    try:
        TopologicalSorter(known).prepare()
    except CycleError as error:
        circle = " → ".join(error.args[1])
        raise _of_whole(
            head,
            f"{whole}: these steps wait for each other: {circle} (each one comes before the next): take out one edge",
        ) from error


def _delayed_too_long(head: Head, steps: Mapping[str, Step]) -> list[Mistake]:
    """The steps that no run could ever start."""
    late = too_late([step.definition for step in steps.values()], head.timeout_us)
    whole = f"workflow {head.slug!r}, step"
    return [Mistake(f"{whole} {id!r}: {said}", steps[id].declared.place) for id, said in late.items()]


def _of_whole(head: Head, message: str) -> DefinitionError:
    """A mistake of the workflow as a whole."""
    return definition_error([Mistake(message, head.place)])
