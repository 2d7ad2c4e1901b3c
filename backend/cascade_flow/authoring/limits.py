"""What a step shares with all others that name the same limit, as its author says it: places, or turns.

Whether a limit's key can be in the workflow's input is judged here too, as far as the input's schema tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade_flow.authoring.durations import Duration, milliseconds
from cascade_flow.authoring.mistakes import Mistakes, shown
from cascade_flow.errors import DefinitionError, InvalidIdError
from cascade_flow.model.ids import check_limit
from cascade_flow.model.workflows import RunLimit, StepLimit
from cascade_flow.records import dataclass

MOST_PLACES = 1_000
MOST_STARTS = 1_000_000


@dataclass(frozen=True)
class Concurrency:
    """At most so many attempts at once, of all steps of all workflows that name this limit.

        @orders.step(limit=Concurrency("stripe", 10))

    `key` names a field of the run's input, with dots between the parts (`key="customer.id"`): then each of its values
    has a limit of its own. A value that makes no sense is a mistake of the step, and told with the step's name.
    """

    name: str
    at_most: int
    key: str | None = None

    def declared(self) -> StepLimit:
        """The limit, checked. Raises DefinitionError."""
        _check(self.name, self.key, self.at_most, MOST_PLACES, 'Concurrency("stripe", 10)')
        return StepLimit(name=self.name, at_most=self.at_most, key=self.key)


@dataclass(frozen=True)
class Rate:
    """At most so many starts in any time of this length, evenly spaced, of all steps that name this limit.

        @orders.step(limit=Rate("openai", 60, per=timedelta(minutes=1)))

    `per` is a number of seconds or a timedelta. `key` is as that of `Concurrency`.
    """

    name: str
    at_most: int
    per: Duration
    key: str | None = None

    def declared(self) -> StepLimit:
        """The limit, checked. Raises DefinitionError."""
        mistakes, per_ms = Mistakes(), 0
        with mistakes.noted():
            _check(self.name, self.key, self.at_most, MOST_STARTS, 'Rate("openai", 60, per=60)')
        with mistakes.noted():
            per_ms = milliseconds(self.per, "limit: per")
        mistakes.check()
        return StepLimit(name=self.name, at_most=self.at_most, per_ms=per_ms, key=self.key)


Limit = Concurrency | Rate


def declared(limit: Limit, executor: str | None) -> StepLimit:
    """A step's limit as it is registered. Raises DefinitionError for what is none."""
    if not isinstance(limit, Concurrency | Rate):
        given = f"limit is {shown(limit)}: give a Concurrency or a Rate"
        raise DefinitionError(f'{given}, as in limit=Concurrency("stripe", 10)')
    if executor is not None:
        raise DefinitionError(
            f"it has a limit and an executor: a pool does as many at once as it has workers, so start fewer of "
            f"{executor!r}, or leave one of the two out"
        )
    return limit.declared()


def run_limit(max_running: int | None, singleton: str | None, key: str | None) -> RunLimit | None:
    """How many runs of a workflow go on at once. Raises DefinitionError."""
    mistakes = Mistakes()
    with mistakes.noted():
        if singleton not in (None, "skip", "queue"):
            raise DefinitionError(f"singleton is {shown(singleton)}: give 'skip' or 'queue'")
    with mistakes.noted():
        if max_running is not None and singleton is not None:
            raise DefinitionError("it has max_running and singleton: a singleton is one at a time, give one of the two")
    with mistakes.noted():
        if key is not None and max_running is None and singleton is None:
            raise DefinitionError("key says by what runs are counted: give it with max_running or singleton")
    with mistakes.noted():
        _check_numbers(1 if max_running is None else max_running, MOST_PLACES, key, "max_running")
    mistakes.check()
    if max_running is None and singleton is None:
        return None
    return RunLimit(at_most=max_running or 1, key=key, skips=singleton == "skip")


def check_key(key: str, schema: Mapping[str, Any]) -> None:
    """Raises DefinitionError where the workflow's input can't have the field that a limit is kept by."""
    at: Any = schema
    for part in key.split("."):
        at = _resolved(at, schema)
        fields = at.get("properties")
        if not isinstance(fields, Mapping) or (part not in fields and at.get("additionalProperties")):
            return
        if part not in fields:
            there = ", ".join(fields) or "none"
            raise DefinitionError(f"limit: key is {key!r}, and the input has no field {part!r}: it has {there}")
        at = fields[part]


def _resolved(at: Any, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a part of a schema refers to; of several forms, the one that is an object, if there is only one."""
    while isinstance(at, Mapping) and str(at.get("$ref", "")).startswith("#/$defs/"):
        at = schema.get("$defs", {}).get(str(at["$ref"]).removeprefix("#/$defs/"))
    forms = [form for form in (at or {}).get("anyOf", ()) if form != {"type": "null"}]
    if len(forms) == 1:
        return _resolved(forms[0], schema)
    return at if isinstance(at, Mapping) else {}


def _check(name: object, key: object, at_most: object, most: int, example: str) -> None:
    mistakes = Mistakes()
    with mistakes.noted():
        _check_name(name, example)
    with mistakes.noted():
        _check_numbers(at_most, most, key, "limit: at_most")
    mistakes.check()


def _check_numbers(at_most: object, most: int, key: object, what: str) -> None:
    mistakes = Mistakes()
    with mistakes.noted():
        if type(at_most) is not int or not 1 <= at_most <= most:
            raise DefinitionError(f"{what} is {shown(at_most)}: give a whole number from 1 to {most:,}")
    with mistakes.noted():
        if key is not None and not (isinstance(key, str) and all(key.split("."))):
            raise DefinitionError(f"limit: key is {shown(key)}: name a field of the input, as in key='customer.id'")
    mistakes.check()


def _check_name(name: object, example: str) -> None:
    try:
        check_limit(name)  # type: ignore[arg-type]
    except InvalidIdError as error:
        raise DefinitionError(f"limit: its name is {shown(name)}: give one, as in limit={example}. {error}") from error
