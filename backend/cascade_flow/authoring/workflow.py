"""`Workflow`: what a user's module builds. It collects declarations; `definition` closes it and finds what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from cascade_flow.authoring.definition import DEFAULT_TIMEOUT, Definition, Flawed, Head, define, run_limit_of
from cascade_flow.authoring.durations import Duration
from cascade_flow.authoring.later import Poll
from cascade_flow.authoring.mistakes import Place, placed, shown
from cascade_flow.authoring.retry import Retry
from cascade_flow.authoring.steps import Declaration, Reference, References, declared as step_declared, undo_declared
from cascade_flow.errors import DefinitionError
from cascade_flow.model.workflows import GitInfo, MissedTimes, WorkflowRegistration
from cascade_flow.records import replace

if TYPE_CHECKING:
    from cascade_flow.authoring.events import EventNode, OnTimeout
    from cascade_flow.authoring.limits import Limit
    from cascade_flow.authoring.schedules import Scheduled
    from cascade_flow.authoring.subworkflows import RunNode

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
            self._head = replace(head, run_limit=run_limit_of(max_running, singleton, key))
        except DefinitionError as error:
            raise placed(f"workflow {shown(slug)}", error, Place.of_caller()) from error
        self._declarations: dict[str, Declaration] = {}
        self._undos: dict[str, Declaration] = {}
        self._schedules: list[Scheduled] = []
        self._sub_workflows: list[Workflow] = []
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

        Where the run fails, is cancelled or runs out of time, what its steps have done is undone, the last completed
        first and one after the other, in a run of its own. A parameter named like the step receives what that returned,
        `input` the run's input. Like a step it may be called again; one that raises `Skip` had nothing to do. The
        options are those of a step; what is wrong with it is told by `definition`, all of it at once.
        """
        how = partial(
            undo_declared, step=step, id=id, name=name, timeout=timeout, retry=retry, executor=executor, limit=limit
        )
        return partial(self._noted, "undo", id, how)

    def map(
        self,
        *,
        over: Reference,
        concurrency: int = 50,
        batch: int = 1,
        tolerate: float = 0,
        id: str | None = None,
        name: str | None = None,
        after: References = (),
        export: bool = False,
        timeout: Duration | None = None,
        retry: Retry | Sequence[Retry] | None = None,
        executor: str | None = None,
        limit: Limit | None = None,
        delay: Duration | None = None,
        poll: Poll | None = None,
    ) -> Callable[[F], F]:
        """Declare the function below as a map: it is called for each item of what the step `over` returns.

            @orders.map(over="lines", concurrency=50, tolerate=0.02)
            def pack(line: Line, input: Order, index: int) -> Packed: ...

            @orders.step
            def ship(pack: list[Packed | ItemFailed]) -> str: ...

        The item is received by the first parameter that is neither `input`, `index` (its number, from 0) nor the
        context. `over` returns a list or a dict, of which the item is a value, and its key what a parameter `key` gets.
        Others receive the results in order: in a list, or in `Results`, which hold one at a time.

        At most `concurrency` go on at once. `batch` gives a worker so many in a row, each stored when it is done.
        `tolerate` is the share of items that may fail; in the place of their results stands `ItemFailed`. If more fail,
        the map fails. All other options are those of `step`, for each item by itself; `export` and `after` are the
        map's.

        What is wrong with it is told by `definition`, all of it at once.
        """
        from cascade_flow.authoring.maps import MapTerms, declare_map  # noqa: PLC0415  (most workflows have none)

        terms = MapTerms(over=over, concurrency=concurrency, batch=batch, tolerate=tolerate)
        step = partial(
            step_declared,
            id=id,
            name=name,
            after=after,
            export=export,
            timeout=timeout,
            retry=retry,
            run_if_skipped=False,
            executor=executor,
            limit=limit,
            delay=delay,
            poll=poll,
        )
        return partial(self._noted, "map", id, partial(declare_map, terms=terms, step=step))

    def run(
        self,
        workflow: str | Workflow,
        input: Any = None,
        *,
        id: str | None = None,
        name: str | None = None,
        after: References = (),
        export: bool = False,
        run_if_skipped: bool = False,
    ) -> RunNode:
        """Declare a run of another workflow as a step, a sub-workflow.

            refund = orders.run("refunds", input=lambda quote: {"amount": quote.total})

            @orders.step
            def tell(refunds: dict[str, Any]) -> None: ...

        `workflow` is its slug, which is the step's id too unless another is given. `input` makes the run's input: a
        function, whose parameters are filled as those of a step; a step, by its name or function, whose output it is;
        `"input"` for this run's own; or any other value, as it is. A parameter named like the sub-workflow receives
        what the run's exported steps returned, by step. If the run fails, so does this one. `after`, `name`, `export`
        and `run_if_skipped` as of a step.

        What is wrong with it is told by `definition`, all of it at once.
        """
        from cascade_flow.authoring.subworkflows import CallTerms, RunNode, declare_call  # noqa: PLC0415  (as above)

        slug = workflow.slug if isinstance(workflow, Workflow) else workflow
        node = RunNode(slug if id is None else id, input)
        self._sub_workflows += [workflow] if isinstance(workflow, Workflow) else []
        how = partial(
            declare_call,
            terms=CallTerms(slug, input),
            name=name,
            after=after,
            export=export,
            run_if_skipped=run_if_skipped,
        )
        self._note("sub-workflow", str(node.id), node, how)
        return node

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

    def runs(self) -> list[Workflow]:
        """The workflows that it runs as steps and was given themselves, not by their slugs."""
        return [*self._sub_workflows]

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
        return self._noted("step", id, partial(step_declared, id=id, **options), function)

    def _noted(self, kind: str, id: str | None, declared_by: Callable[[F], Declaration], function: F) -> F:
        called = id or getattr(function, "__name__", None) or shown(function)
        self._note(kind, str(called), function, declared_by)
        return function

    def _note(self, kind: str, called: str, code: F, declared_by: Callable[[F], Declaration]) -> None:
        whole = f"workflow {self.slug!r}, {kind} {called!r}"
        if self._definition is not None:
            late = "the workflow was already complete: declare all steps where the workflow is declared"
            raise DefinitionError(f"{whole}: {late}")
        if kind != "undo":  # nobody waits for one, or receives what it returns
            self._flawed.steps[str(called)] = code
        with self._flawed.mistakes.noted(whole, Place.of_caller()):
            declared = declared_by(code)
            if declared.id in self._declarations or declared.id in self._undos:
                raise DefinitionError("a step with this id exists already: rename one, or give it another id=")
            (self._declarations if declared.undoes is None else self._undos)[declared.id] = declared
