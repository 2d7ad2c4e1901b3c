"""An event from outside: a node without code, which its author declares as a step, and which others receive as one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from cascade_flow.authoring.durations import Duration, milliseconds
from cascade_flow.authoring.mistakes import Mistakes, Place, shown
from cascade_flow.authoring.parameters import Names
from cascade_flow.authoring.payloads import ANYTHING, payload_of
from cascade_flow.authoring.retry import Retry
from cascade_flow.authoring.steps import Declaration, References, Step, Terms, check_options, each_of, steps_meant
from cascade_flow.errors import DefinitionError
from cascade_flow.operations.validation import defect_of

OnTimeout = Literal["fail", "skip"]


class EventNode:
    """What `workflow.event(...)` gives: it names the event where a step's function names a step, in `after=`."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.__name__ = id

    def __repr__(self) -> str:
        return f"EventNode({self.id!r})"

    def __call__(self) -> Any:
        """Nobody calls it. Raises DefinitionError."""
        raise DefinitionError(f"event {self.id!r} has no code: send it, with `cascade send` or `send_event`")


def declare_event(
    node: EventNode,
    *,
    payload: Any,
    name: str | None,
    after: References,
    export: bool,
    timeout: Duration | None,
    on_timeout: OnTimeout,
) -> Declaration:
    """The declaration, checked as far as it can be by itself. DefinitionError, with every mistake, for no event."""
    mistakes, timeout_us = Mistakes(), None
    with mistakes.noted():
        check_options(node.id, name, None, export=export)
    with mistakes.noted():
        timeout_us = None if timeout is None else milliseconds(timeout, "timeout") * 1000
    with mistakes.noted():
        _check_on_timeout(on_timeout, timeout)
    mistakes.check()
    return Declaration(
        id=node.id,
        name=name or node.id.rpartition("/")[2],
        function=node,
        after=each_of(after),
        export=export,
        timeout_ms=None,
        retry=(Retry(max_attempts=1),),
        run_if_skipped=False,
        event=Terms(payload, timeout_us, on_timeout),
        place=Place.of_caller(),
    )


def resolve_event(declared: Declaration, *, names: Names) -> Step:
    """The event with what it waits for and its payload's type. Raises DefinitionError, with every mistake."""
    mistakes, output = Mistakes(), ANYTHING
    annotation = declared.event and declared.event.payload
    after = steps_meant(declared, names, mistakes)
    if annotation is not None:
        with mistakes.noted():
            output = payload_of(annotation, "its payload's type")
    for check in (partial(_check_schema, output.schema()), partial(_check_itself, declared.id, after)):
        with mistakes.noted():
            check()
    mistakes.check()
    return Step(declared, (), after, output)


def _check_on_timeout(on_timeout: object, timeout: object) -> None:
    if on_timeout not in ("fail", "skip"):
        raise DefinitionError(f'on_timeout is {shown(on_timeout)}: give "fail" or "skip"')
    if on_timeout == "skip" and timeout is None:
        raise DefinitionError('on_timeout="skip" says what comes of a timeout, and there is none: give timeout= too')


def _check_schema(schema: Any) -> None:
    if defect := defect_of(schema):
        raise DefinitionError(f"its JSON Schema can't be checked: {defect.path}: {defect.message}", issues=[defect])


def _check_itself(event: str, after: Sequence[str]) -> None:
    if event in after:
        raise DefinitionError("it depends on itself: take it out of after=")
