"""A sub-workflow: another workflow's run as a step, as its author declares it, and what that run is given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import field
from typing import Annotated, Any

from cascade_flow.authoring.mistakes import Mistakes, Place, shown
from cascade_flow.authoring.parameters import INPUT, From, Names
from cascade_flow.authoring.payloads import ANYTHING, Payload, payload_of
from cascade_flow.authoring.retry import policies
from cascade_flow.authoring.steps import Declaration, References, Step, check_options, each_of, resolve
from cascade_flow.authoring.version import source_text
from cascade_flow.errors import DefinitionError, InvalidIdError
from cascade_flow.model.ids import check_slug
from cascade_flow.model.workflows import ChildrenDefinition
from cascade_flow.records import dataclass, replace
from cascade_flow.serialization import safe_serialize


class RunNode:
    """What `workflow.run(...)` gives: it names the sub-workflow where a step's function names a step, in `after=`.

    Called it makes the run's input; how, is known when the workflow is complete.
    """

    def __init__(self, id: str, given: Any) -> None:
        self.id = id
        self.__name__ = id
        self.source_text = _source_of(given)
        self.giving: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        return f"RunNode({self.id!r})"

    def __call__(self, **arguments: Any) -> Any:
        """The input of the run. Raises DefinitionError before the workflow is complete."""
        if self.giving is None:
            raise DefinitionError(f"sub-workflow {self.id!r} is no function: a parameter named like it gets its output")
        return self.giving(**arguments)


@dataclass(frozen=True)
class CallTerms:
    """What `workflow.run(...)` was told beyond what steps are told."""

    workflow: str
    given: Any
    kind: str = field(default="sub-workflow", init=False)


@dataclass(frozen=True)
class Called:
    """A sub-workflow that is ready to be run."""

    workflow: str

    @property
    def gives(self) -> Payload:
        """What steps that name it receive: what the exported steps of the run returned, by step."""
        return _OUTPUT

    @property
    def definition(self) -> ChildrenDefinition:
        """As it is registered."""
        return ChildrenDefinition(kind="workflow", workflow=self.workflow)


_OUTPUT = payload_of(dict[str, Any], "a run's output")


def declare_call(
    node: RunNode,
    *,
    terms: CallTerms,
    name: str | None,
    after: References,
    export: bool,
    run_if_skipped: bool,
) -> Declaration:
    """The declaration, checked as far as it can be by itself. DefinitionError, with every mistake."""
    mistakes = Mistakes()
    with mistakes.noted():
        check_options(node.id, name, None, export=export, run_if_skipped=run_if_skipped)
    with mistakes.noted():
        _check_slug(terms.workflow)
    with mistakes.noted():
        _check_literal(terms.given)
    mistakes.check()
    return Declaration(
        id=node.id,
        name=name or node.id.rpartition("/")[2],
        function=node,
        after=each_of(after),
        export=export,
        timeout_ms=None,
        retry=policies(None),
        run_if_skipped=run_if_skipped,
        children=terms,
        place=Place.of_caller(),
    )


def resolve_call(declared: Declaration, *, names: Names, input_type: Any) -> Step:
    """The sub-workflow with what its input is made of. Raises DefinitionError, with every mistake."""
    node, terms = declared.function, declared.children
    assert isinstance(node, RunNode)
    assert isinstance(terms, CallTerms)
    node.giving = _giving(terms.given, names)
    step = resolve(replace(declared, function=node.giving), names=names, input_type=input_type)
    return replace(step, declared=declared, children=Called(terms.workflow))


def _giving(given: Any, names: Names) -> Callable[..., Any]:
    """The function that makes the input: the author's own, or one that passes a step's output on, or a literal."""
    if isinstance(given, str) and given == INPUT:
        return _passing_input
    if isinstance(given, str) or names.is_step(given):
        return _passing(names.meant(given))
    if inspect.isfunction(given):
        return given
    return lambda: given


def _passing(step_id: str) -> Callable[..., Any]:
    def passing(value: Any) -> Any:
        return value

    passing.__annotations__ = {"value": Annotated[Any, From(step_id)], "return": Any}
    return passing


def _passing_input(input: Any) -> Any:
    return input


def _check_slug(slug: object) -> None:
    try:
        check_slug(slug)  # type: ignore[arg-type]
    except InvalidIdError as error:
        raise DefinitionError(
            f'it runs {shown(slug)}: name a workflow by its slug, as in orders.run("refunds"). {error}'
        ) from error


def _check_literal(given: Any) -> None:
    if given is not None and not isinstance(given, str) and not callable(given):
        ANYTHING.dump(given, "its input")


def _source_of(given: Any) -> str:
    """What of the input's making belongs to the version."""
    if inspect.isfunction(given):
        return source_text(given)
    return f"input={getattr(given, 'id', None) or safe_serialize(given)}"
