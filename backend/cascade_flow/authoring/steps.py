"""A step: what its author declared, and what follows from it once every step of the workflow is known.

A `Declaration` is checked by itself, where the step is declared; a `Step` is a declaration whose parameters have their
sources. Neither calls the step's function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from cascade_flow.authoring.durations import Duration, milliseconds
from cascade_flow.authoring.later import Poll
from cascade_flow.authoring.mistakes import Mistakes, Place, shown
from cascade_flow.authoring.parameters import (
    INPUT,
    Names,
    Parameter,
    Source,
    Special,
    bare_name,
    parameters_of,
    type_hints,
)
from cascade_flow.authoring.payloads import ANYTHING, Payload, output_of
from cascade_flow.authoring.retry import Retry, policies, retryable
from cascade_flow.errors import DefinitionError, InvalidIdError
from cascade_flow.model.ids import check_pool, check_step_id
from cascade_flow.model.workflows import (
    ChildrenDefinition,
    EventDefinition,
    StepDefinition,
    StepLimit,
    UndoDefinition,
)
from cascade_flow.records import dataclass, replace

if TYPE_CHECKING:
    from cascade_flow.authoring.limits import Limit

Function = Callable[..., Any]
Reference = str | Function
References = Reference | Sequence[Reference]


@dataclass(frozen=True)
class Terms:
    """What an event waits for, beside other steps: a payload of a type (None: any), for so long."""

    payload: Any
    timeout_us: int | None
    on_timeout: Literal["fail", "skip"]


class Growth(Protocol):
    """What a map or a sub-workflow was told beyond what steps are told."""

    @property
    def kind(self) -> str: ...


class Grown(Protocol):
    """A map or a sub-workflow that is ready to be run: what it gives to others, and as what it is registered."""

    @property
    def gives(self) -> Payload: ...

    @property
    def definition(self) -> ChildrenDefinition: ...


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What `@workflow.step(...)` was told. Build it with `declare`; or an event's, which has no code, with
    `events.declare_event`.
    """

    id: str
    name: str
    function: Function
    after: tuple[Reference, ...]
    export: bool
    timeout_ms: int | None
    retry: tuple[Retry, ...]
    run_if_skipped: bool
    executor: str | None = None
    limit: StepLimit | None = None
    event: Terms | None = None
    delay_ms: int | None = None
    poll: Poll | None = None
    undoes: Reference | None = None
    children: Growth | None = None
    """Of a step whose work runs of their own do."""
    place: Place | None = None

    @property
    def kind(self) -> str:
        """What it is called in what is said of it."""
        if self.undoes is not None:
            return "undo"
        if self.children is not None:
            return self.children.kind
        return "step" if self.event is None else "event"


@dataclass(frozen=True)
class Step:
    """A step that is ready to be run. Build it with `resolve`."""

    declared: Declaration
    parameters: tuple[Parameter, ...]
    dependencies: tuple[str, ...]
    output: Payload
    """What its function returns: of a map, the result of an item; of a sub-workflow, that run's input."""
    children: Grown | None = None
    undo: Step | None = None
    """What undoes it; that is a step of another run."""

    @property
    def gives(self) -> Payload:
        """What steps that name it receive."""
        return self.output if self.children is None else self.children.gives

    @property
    def returns(self) -> str:
        """What it does to that, in what is said of it."""
        return "returns" if self.declared.event is None else "brings"

    @property
    def id(self) -> str:
        return self.declared.id

    @property
    def function(self) -> Function:
        return self.declared.function

    @cached_property
    def definition(self) -> StepDefinition:
        """The step without its code, as it is registered."""
        return StepDefinition(
            id=self.id,
            name=self.declared.name,
            dependencies=list(self.dependencies),
            export_output=self.declared.export,
            timeout_ms=self.declared.timeout_ms,
            retry=[policy.tier() for policy in self.declared.retry],
            skip_cascades=not self.declared.run_if_skipped,
            executor=self.declared.executor,
            limit=self.declared.limit,
            event=self._event,
            delay_ms=self.declared.delay_ms,
            poll_every_ms=None if (poll := self.declared.poll) is None else poll.every_ms,
            give_up_after_ms=None if poll is None else poll.give_up_after_ms,
            undo=None if self.undo is None else self.undo.undo_definition,
            children=None if self.children is None else self.children.definition,
        )

    @property
    def undo_definition(self) -> UndoDefinition:
        """The same of what undoes a step."""
        return UndoDefinition(
            id=self.id,
            name=self.declared.name,
            timeout_ms=self.declared.timeout_ms,
            retry=[policy.tier() for policy in self.declared.retry],
            executor=self.declared.executor,
            limit=self.declared.limit,
        )

    @property
    def _event(self) -> EventDefinition | None:
        terms = self.declared.event
        if terms is None:
            return None
        schema = None if terms.payload is None else self.output.schema()
        return EventDefinition(payload_schema_json=schema, timeout_us=terms.timeout_us, on_timeout=terms.on_timeout)

    def dump_output(self, value: object) -> str:
        """What the step returned as JSON text. DefinitionError where it isn't what the step says it returns."""
        return self.output.dump(value, f"what step {self.id!r} returned")

    def retryable(self, error: BaseException, *, attempt_number: int) -> bool:
        """Whether the step's retry policy goes on after this error of this attempt; not whether attempts are left."""
        return retryable(self.declared.retry, attempt_number, error)


def declare(
    function: Function,
    *,
    id: str | None,
    name: str | None,
    after: References,
    export: bool,
    timeout: Duration | None,
    retry: Retry | Sequence[Retry] | None,
    run_if_skipped: bool,
    executor: str | None = None,
    delay: Duration | None = None,
    poll: Poll | None = None,
) -> Declaration:
    """The declaration, checked as far as it can be by itself. DefinitionError, with every mistake, for no step."""
    _require_function(function)
    mistakes = Mistakes()
    step_id = function.__name__ if id is None else id
    mistakes.kept(partial(check_options, step_id, name, executor, export=export, run_if_skipped=run_if_skipped), None)
    timeout_ms = mistakes.kept(lambda: None if timeout is None else milliseconds(timeout, "timeout"), None)
    delay_ms = mistakes.kept(lambda: None if delay is None else milliseconds(delay, "delay", zero=True) or None, None)
    tiers: tuple[Retry, ...] = mistakes.kept(lambda: policies(retry), ())
    mistakes.kept(partial(_check_poll, poll), None)
    mistakes.kept(partial(_check_function, function), None)
    mistakes.check()
    return Declaration(
        id=step_id,
        name=name or step_id.rpartition("/")[2],
        function=function,
        after=each_of(after),
        export=export,
        timeout_ms=timeout_ms,
        retry=tiers,
        run_if_skipped=run_if_skipped,
        executor=executor,
        delay_ms=delay_ms,
        poll=poll,
        place=Place.of_caller(),
    )


def declared(function: Function, *, limit: Limit | None, **options: Any) -> Declaration:
    """The step, with what it shares with others. DefinitionError, with every mistake."""
    mistakes = Mistakes()
    shared = mistakes.kept(lambda: _shared(limit, options["executor"]), None)
    alone: Declaration | None = mistakes.kept(lambda: declare(function, **options), None)
    mistakes.check()
    assert alone is not None, "what is none has mistakes"
    return replace(alone, limit=shared)


def undo_declared(function: Function, *, step: Reference, **options: Any) -> Declaration:
    """What undoes a step. DefinitionError, with every mistake."""
    return replace(declared(function, after=(), export=False, run_if_skipped=False, **options), undoes=step)


def _shared(limit: Limit | None, executor: str | None) -> StepLimit | None:
    """What a step's limit is registered as."""
    if limit is None:
        return None
    from cascade_flow.authoring.limits import declared as registered  # noqa: PLC0415  (most workflows have none)

    return registered(limit, executor)


def resolve(declared: Declaration, *, names: Names, input_type: Any, special: Special | None = None) -> Step:
    """The step with its parameters' sources, its dependencies and its output's type. `special` says what parameters
    of a special kind of step get.

    Raises DefinitionError, with every mistake.
    """
    mistakes = Mistakes()
    parameters: tuple[Parameter, ...] = ()
    output = ANYTHING
    with mistakes.noted():
        parameters = parameters_of(declared.function, names=names, input_type=input_type, special=special)
    after = steps_meant(declared, names, mistakes)
    with mistakes.noted():
        returned = type_hints(declared.function).get("return", Any)
        output = output_of(returned, f"its return type {returned}")
    step = Step(declared, parameters, _dependencies(parameters, after), output)
    with mistakes.noted():
        _check_dependencies(step)
    mistakes.check()
    return step


def steps_meant(declared: Declaration, names: Names, mistakes: Mistakes) -> tuple[str, ...]:
    """The steps that `after` names, each once; what names none is a mistake."""
    after: list[str] = []
    for reference in declared.after:
        with mistakes.noted():
            after.append(names.meant(reference))
    return tuple(dict.fromkeys(after))


def each_of(after: References) -> tuple[Reference, ...]:
    return tuple(after) if isinstance(after, Sequence) and not isinstance(after, str) else (after,)


def _require_function(function: Function) -> None:
    if not inspect.isfunction(function):
        raise DefinitionError(f"{shown(function)} is no function: declare a function written with def")


def _dependencies(parameters: Iterable[Parameter], after: Iterable[str]) -> tuple[str, ...]:
    received = [parameter.step_id for parameter in parameters if parameter.step_id is not None]
    return tuple(dict.fromkeys([*received, *after]))


def _check_id(step_id: str) -> None:
    if not isinstance(step_id, str):
        raise DefinitionError(f"id is {shown(step_id)}: give a text")
    try:
        check_step_id(step_id)
    except InvalidIdError as error:
        raise DefinitionError(f"{error} Give another with id=") from error
    if bare_name(step_id) == INPUT:
        raise DefinitionError("a step can't be called 'input', which is the workflow's input: rename it")


def _check_executor(executor: str | None) -> None:
    if executor is None:
        return
    try:
        check_pool(executor)
    except InvalidIdError as error:
        raise DefinitionError(
            f"executor is {shown(executor)}: name the pool whose workers carry the step out, as in "
            f"executor='gpu-box', or leave it out for Lambda. {error}"
        ) from error


def _check_poll(poll: Poll | None) -> None:
    if poll is not None and not isinstance(poll, Poll):
        raise DefinitionError(f"poll is {shown(poll)}: give a Poll, as in poll=Poll(every=timedelta(seconds=30))")
    if poll is not None:
        poll.check()


def check_options(step_id: str, name: str | None, executor: str | None, **flags: bool) -> None:
    """DefinitionError, with every mistake, for what is no id, name, pool or flag."""
    mistakes = Mistakes()
    of_flags = [partial(_check_option, what, value, bool) for what, value in flags.items()]
    of_names = [partial(_check_id, step_id), partial(_check_executor, executor)]
    for check in (partial(_check_option, "name", name, str), *of_flags, *of_names):
        with mistakes.noted():
            check()
    mistakes.check()


def _check_option(what: str, value: object, kind: type) -> None:
    if not isinstance(value, kind) and value is not None:
        raise DefinitionError(f"{what} is {shown(value)}: give {'True or False' if kind is bool else 'a text'}")


def _check_function(function: Function) -> None:
    mistakes = Mistakes()
    with mistakes.noted():
        _check_kind(function)
    for parameter in inspect.signature(function).parameters.values():
        with mistakes.noted():
            _check_parameter(parameter)
    mistakes.check()


def _check_kind(function: Function) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise DefinitionError("a step can't yield: return the whole result, such as a list")


def _check_parameter(parameter: inspect.Parameter) -> None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise DefinitionError(f"parameter {str(parameter)!r} can't be filled: name each parameter after its step")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise DefinitionError(f"parameter {parameter.name!r} is positional-only: leave out the '/' after it")


def _check_dependencies(step: Step) -> None:
    mistakes = Mistakes()
    if step.id in step.dependencies:
        with mistakes.noted():
            raise DefinitionError("it depends on itself: rename the parameter, or take the step out of after=")
    for parameter in step.parameters:
        with mistakes.noted():
            _check_without(step, parameter)
    mistakes.check()


def _check_without(step: Step, parameter: Parameter) -> None:
    if step.declared.run_if_skipped and parameter.source is Source.STEP and not parameter.may_be_absent:
        raise DefinitionError(
            f"it runs even if {parameter.step_id!r} is skipped, but parameter {parameter.name!r} can't do without: "
            f"give it a default, or the type {parameter.payload.type_name} | None"
        )
