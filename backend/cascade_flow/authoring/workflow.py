"""`Workflow`: what a user's module builds. It collects declarations; `definition` closes it and finds what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from cascade_flow.authoring.definition import DEFAULT_TIMEOUT, Definition, Flawed, Head, define
from cascade_flow.authoring.durations import Duration
from cascade_flow.authoring.later import Poll
from cascade_flow.authoring.mistakes import Mistakes, Place, placed, shown
from cascade_flow.authoring.retry import Retry
from cascade_flow.authoring.steps import Declaration, Reference, References, declare
from cascade_flow.errors import DefinitionError
from cascade_flow.model.workflows import GitInfo, MissedTimes, RunLimit, StepLimit, WorkflowRegistration

if TYPE_CHECKING:
    from cascade_flow.authoring.events import EventNode, OnTimeout
    from cascade_flow.authoring.limits import Limit
    from cascade_flow.authoring.schedules import Scheduled

F = TypeVar("F", bound=Callable[..., Any])


class Workflow:
    """A workflow: a graph of steps, which are plain functions.

        orders = Workflow("orders", input=OrderInput)

        @orders.step
        def read(input: OrderInput) -> list[Row]: ...

        @orders.step(export=True, timeout=30, retry=Retry(max_attempts=5))
        def total(read: list[Row], ctx: StepContext) -> Decimal: ...

    A parameter that is named like another step receives that step's output, and so depends on it; `input` receives
    the run's input; a parameter annotated `StepContext` the context. Steps may be declared in any order.

    `input` is the type of the input, usually a pydantic model; without it anything is taken. `timeout` is how long a
    run may last (seconds or a timedelta, 7 days by default). `max_running` is how many of its runs go on at once;
    further ones wait, higher priority first. `singleton="queue"` is one after the other; with `"skip"` who submits
    while one goes on is answered with that one. `key` names a field of the input: each value is counted by itself.
    Raises DefinitionError for a slug that is none.
    """

    def __init__(
        self,
        slug: str,
        *,
        name: str | None = None,
        input: Any = None,
        timeout: Duration = DEFAULT_TIMEOUT,
        max_running: int | None = None,
        singleton: Literal["skip", "queue"] | None = None,
        key: str | None = None,
    ) -> None:
        location = sys._getframe(1).f_globals.get("__name__", "")
        try:
            head = Head.of(slug, name=name, location=location, input_type=input, timeout=timeout)
            self._head = replace(head, run_limit=_run_limit(max_running, singleton, key))
        except DefinitionError as error:
            raise placed(f"workflow {shown(slug)}", error, Place.of_caller()) from error
        self._declarations: dict[str, Declaration] = {}
        self._undos: dict[str, Declaration] = {}
        self._schedules: list[Scheduled] = []
        self._flawed = Flawed()
        self._definition: Definition | None = None

    def __repr__(self) -> str:
        return f"Workflow({self.slug!r}, {len(self._declarations)} steps)"

    @property
    def slug(self) -> str:
        return self._head.slug

    @property
    def name(self) -> str:
        return self._head.name

    @property
    def place(self) -> Place | None:
        """Where it was made."""
        return self._head.place

    @overload
    def step(self, function: F, /) -> F: ...

    @overload
    def step(
        self,
        function: None = None,
        /,
        *,
        id: str | None = None,
        name: str | None = None,
        after: References = (),
        export: bool = False,
        timeout: Duration | None = None,
        retry: Retry | Sequence[Retry] | None = None,
        run_if_skipped: bool = False,
        executor: str | None = None,
        limit: Limit | None = None,
        delay: Duration | None = None,
        poll: Poll | None = None,
    ) -> Callable[[F], F]: ...

    def step(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        id: str | None = None,
        name: str | None = None,
        after: References = (),
        export: bool = False,
        timeout: Duration | None = None,
        retry: Retry | Sequence[Retry] | None = None,
        run_if_skipped: bool = False,
        executor: str | None = None,
        limit: Limit | None = None,
        delay: Duration | None = None,
        poll: Poll | None = None,
    ) -> Any:
        """Declare the function below as a step; the function itself stays what it is.

        `id` is the function's name unless given, and may have parts: `load/orders` is received by a parameter `orders`.
        Where that could mean several steps, `Annotated[T, From("load/orders")]` decides. `after` names steps (ids or
        functions) to wait for without receiving anything. `export` makes the output part of the run's output.
        `timeout` is how long one attempt may take (seconds or a timedelta; none unless given). `retry` is a policy,
        or several that are used up in turn; three attempts unless given. `run_if_skipped` runs the step even if
        what it depends on was skipped: its parameters then get their defaults, or None. `executor` names a pool: the
        step waits for a worker that asks for that pool (`cascade worker --pool NAME`), and Lambda never gets it.
        `limit` is what the step shares with all that name it: `Concurrency("stripe", 10)`, or a `Rate`.
        `delay` is how long after all that it waits for the step starts. A step that raises `Later` is called again, as
        its `poll` says where it doesn't itself.

        What is wrong with a step is told by `definition`, all of it at once. Raises DefinitionError only where the
        workflow is complete already.
        """

        add = partial(
            self._add,
            id=id,
            name=name,
            after=after,
            export=export,
            timeout=timeout,
            retry=retry,
            run_if_skipped=run_if_skipped,
            executor=executor,
            limit=limit,
            delay=delay,
            poll=poll,
        )
        return add if function is None else add(function)

    def undo(
        self,
        step: Reference,
        /,
        *,
        id: str | None = None,
        name: str | None = None,
        timeout: Duration | None = None,
        retry: Retry | Sequence[Retry] | None = None,
        executor: str | None = None,
        limit: Limit | None = None,
    ) -> Callable[[F], F]:
        """Declare the function below as what undoes a step (its id, or its function) that has completed.

            @orders.undo(book)
            def unbook(book: Booking) -> None: ...

        Where a run fails, is cancelled or runs out of time, what its steps have done is undone, the last completed
        first and one after the other, in a run of its own; the run itself is over for good. A parameter named like the
        step receives what that returned, `input` the run's input, one annotated `StepContext` the context. It may be
        called again, as any step, so undoing twice must do no harm. An undo that raises `Skip` had nothing to do; one
        that fails for good fails its run, and what would come after it is not undone until that run is retried.

        The options are those of a step. What is wrong with it is told by `definition`, all of it at once.
        """
        how = partial(
            _undo_declared, step=step, id=id, name=name, timeout=timeout, retry=retry, executor=executor, limit=limit
        )

        def add(function: F) -> F:
            called = id or getattr(function, "__name__", None) or shown(function)
            self._note("undo", str(called), function, how)
            return function

        return add

    def event(
        self,
        id: str,
        payload: Any = None,
        *,
        name: str | None = None,
        after: References = (),
        export: bool = False,
        timeout: Duration | None = None,
        on_timeout: OnTimeout = "fail",
    ) -> EventNode:
        """Declare something that the run waits for and that comes from outside: an approval, a payment, a delivery.

            approval = orders.event("approval", Approval, after=quote, timeout=timedelta(days=3), on_timeout="skip")

            @orders.step
            def ship(approval: Approval) -> str: ...

        A parameter named like it receives the payload, of the type `payload` (anything, where none is given). Whoever
        sends it (`cascade send RUN approval --data …`, `POST /runs/{runId}/events/approval`, `send_event`) may do so
        before the run waits for it; the first counts. `timeout` is how long the run waits once what the event comes
        `after` is over (as long as the run may last, unless given); then it fails, or is skipped with what depends on
        it. `name` and `export` as of a step.

        What is wrong with it is told by `definition`, all of it at once.
        """
        from cascade_flow.authoring.events import EventNode, declare_event  # noqa: PLC0415

        node = EventNode(id)
        how = partial(
            declare_event,
            payload=payload,
            name=name,
            after=after,
            export=export,
            timeout=timeout,
            on_timeout=on_timeout,
        )
        self._note("event", id, node, how)
        return node

    def schedule(
        self,
        name: str,
        *,
        cron: str | None = None,
        timezone: str | None = None,
        every: Duration | None = None,
        input: Any = None,
        missed: MissedTimes = "latest",
    ) -> None:
        """Let runs begin by themselves: at the times of a cron expression, or every so often.

            orders.schedule("nightly", cron="0 3 * * 1-5", timezone="Europe/Berlin", input=Report(of="yesterday"))
            orders.schedule("often", every=timedelta(minutes=10))

        `cron` has five fields: minute, hour, day of month, month, day of week; `timezone` is an IANA name, UTC unless
        given. A time that daylight saving leaves out is made up for as soon as it is over, one that comes twice counts
        once. `every` is a minute at least; its times are multiples of it since 1970 (every hour: on the hour). `input`
        is what each run gets. `missed` says what becomes of times during which the schedule was paused or the reaper
        was down: the `latest` has a run, `all` have, or `none` has.

        What is wrong is told where the workflow is registered, by `cascade check` for instance.
        """
        from cascade_flow.authoring.schedules import Scheduled  # noqa: PLC0415  (few workflows have some)

        times = {"cron": cron, "timezone": timezone, "every": every, "missed": missed}
        self._schedules.append(Scheduled(name, times, input, Place.of_caller()))

    def definition(self) -> Definition:
        """The workflow, complete and checked; nothing can be added to it from now on.

        Raises DefinitionError: one message with every mistake, each with its step and the cure.
        """
        if self._definition is None:
            undos = list(self._undos.values())
            self._definition = define(self._head, list(self._declarations.values()), self._flawed, undos)
        return self._definition

    def registration(self, *, git: GitInfo | None = None) -> WorkflowRegistration:
        """The workflow as it is registered; `git` says which commit its code is from. Raises DefinitionError."""
        definition = self.definition()
        registered = definition.registration(git=git)
        if not self._schedules:
            return registered
        from cascade_flow.authoring.schedules import schedules_of  # noqa: PLC0415

        schedules = schedules_of(self.slug, definition.input, self._schedules)
        return registered.model_copy(update={"schedules": schedules})

    def _add(self, function: F, *, id: str | None, **options: Any) -> F:
        called = id or getattr(function, "__name__", None) or shown(function)
        self._note("step", str(called), function, partial(_declared, id=id, **options))
        return function

    def _note(self, kind: str, called: str, code: F, declared_by: Callable[[F], Declaration]) -> None:
        whole = f"workflow {self.slug!r}, {kind} {called!r}"
        if self._definition is not None:
            raise DefinitionError(
                f"{whole}: the workflow was already complete: declare all steps where the workflow is declared"
            )
        if kind != "undo":  # nobody waits for one, or receives what it returns
            self._flawed.steps[str(called)] = code
        with self._flawed.mistakes.noted(whole, Place.of_caller()):
            declared = declared_by(code)
            self._check_new(declared)
            among = self._declarations if declared.undoes is None else self._undos
            among[declared.id] = declared

    def _check_new(self, declared: Declaration) -> None:
        if declared.id in self._declarations or declared.id in self._undos:
            raise DefinitionError("a step with this id exists already: rename one, or give it another id=")


def _declared(function: Callable[..., Any], *, limit: Limit | None, **options: Any) -> Declaration:
    """The step, with what it shares with others. DefinitionError, with every mistake."""
    mistakes, shared, declared = Mistakes(), None, None
    with mistakes.noted():
        shared = _shared(limit, options["executor"])
    with mistakes.noted():
        declared = declare(function, **options)
    mistakes.check()
    assert declared is not None, "what is none has mistakes"
    return replace(declared, limit=shared)


def _undo_declared(function: Callable[..., Any], *, step: Reference, **options: Any) -> Declaration:
    """What undoes a step. DefinitionError, with every mistake."""
    declared = _declared(function, after=(), export=False, run_if_skipped=False, **options)
    return replace(declared, undoes=step)


def _shared(limit: Limit | None, executor: str | None) -> StepLimit | None:
    """What a step's limit is registered as."""
    if limit is None:
        return None
    from cascade_flow.authoring.limits import declared  # noqa: PLC0415  (most workflows have none)

    return declared(limit, executor)


def _run_limit(max_running: int | None, singleton: str | None, key: str | None) -> RunLimit | None:
    """How many runs go on at once, as it is registered."""
    if max_running is None and singleton is None and key is None:
        return None
    from cascade_flow.authoring.limits import run_limit  # noqa: PLC0415  (few workflows have one)

    return run_limit(max_running, singleton, key)
