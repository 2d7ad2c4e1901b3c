"""Random events and histories, for every suite that wants them (hypothesis strategies; all yield our models).

`events` makes one event of any kind, every field at random; `step_histories` and `run_histories` make what really
happens, retries, reclaims and zombies included; `hostile_*_histories` what never should: any events in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from cascade_flow.model import events as model
from cascade_flow.model.events import Event, StepEvent, WorkflowEvent
from cascade_flow.model.wire import LARGEST_WHOLE, Count, JsonObject, Number, Ordinal, Text, Whole, WireModel

WORKFLOW_SLUG = "weather"
RUN_ID = "run-1"
STEP_ID = "group/step"
START_US = 1_790_000_000_000_000

STEP_EVENTS: tuple[type[Any], ...] = get_args(StepEvent)
WORKFLOW_EVENTS: tuple[type[Any], ...] = get_args(WorkflowEvent)

texts = st.text(max_size=12)
fractions = st.floats(min_value=-1e15, max_value=1e15, allow_nan=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST_WHOLE, LARGEST_WHOLE) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)

_SCALARS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (Text, texts),
    (Number, st.integers(0, LARGEST_WHOLE) | fractions),
    (Whole, st.integers(-LARGEST_WHOLE, LARGEST_WHOLE)),
    (Count, st.integers(0, LARGEST_WHOLE)),
    (Ordinal, st.integers(1, LARGEST_WHOLE)),
    (JsonObject, st.dictionaries(texts, json_values, max_size=3)),
    (bool, st.booleans()),
]


@lru_cache(maxsize=256)
def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Valid values of a model's field, by its annotation."""
    for known, values in _SCALARS:
        if hint == known:
            return values
    if _is_model(hint):
        return models_of(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return values_of(arguments[0])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(values_of(arguments[0]), max_size=3)
    assert origin in (Union, UnionType), f"no strategy for {hint}"
    return st.none() | values_of(next(argument for argument in arguments if argument is not NoneType))


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, WireModel)


@lru_cache(maxsize=1024)
def models_of(kind: Any, **fixed: Any) -> st.SearchStrategy[Any]:
    """Instances of a model, every field at random but those that are fixed to a value."""
    hints = get_type_hints(kind, include_extras=True)
    free = {name: values_of(hint) for name, hint in hints.items() if name in kind.model_fields and name not in fixed}
    return st.fixed_dictionaries(free).map(lambda values: kind(**values, **fixed))


def event_of(kind: Any, **fixed: Any) -> st.SearchStrategy[Any]:
    """An event of one kind, of our one workflow, run and step where nothing else is fixed."""
    step = {"step_id": STEP_ID} if kind in STEP_EVENTS else {}
    given = {"workflow_slug": WORKFLOW_SLUG, "run_id": RUN_ID, "timestamp_us": START_US, **step, **fixed}
    return models_of(kind, event_id=str(given["timestamp_us"]), **given)


def events(kinds: Sequence[type[Any]] = STEP_EVENTS + WORKFLOW_EVENTS, **fixed: Any) -> st.SearchStrategy[Any]:
    """One event of one of the kinds."""
    return st.sampled_from(kinds).flatmap(lambda kind: event_of(kind, **fixed))


@st.composite
def hostile_step_histories(draw: st.DrawFn, step_id: str = STEP_ID) -> list[StepEvent]:
    """Any events of one step in any order, attempts and times at random."""
    attempts = st.integers(1, 3)
    event = attempts.flatmap(lambda number: events(STEP_EVENTS, step_id=step_id, attempt_number=number))
    return _at_times(draw, draw(st.lists(event, min_size=1, max_size=8)), least_gap_us=-5)


@st.composite
def hostile_run_histories(draw: st.DrawFn) -> list[WorkflowEvent]:
    """Any workflow events in any order; often without a RunSubmitted."""
    return _at_times(draw, draw(st.lists(events(WORKFLOW_EVENTS), min_size=1, max_size=8)), least_gap_us=-5)


@st.composite
def step_histories(draw: st.DrawFn, step_id: str = STEP_ID) -> list[StepEvent]:
    """One step as it really goes: attempts that are retried or reclaimed, then an end, or none yet; late zombies."""
    history: list[StepEvent] = []
    last = draw(st.integers(1, 3))
    for number in range(1, last + 1):
        history += draw(_attempt(step_id, number, is_last=number == last))
    return _at_times(draw, history)


@st.composite
def run_histories(draw: st.DrawFn, *, most_steps: int = 2) -> list[Event]:
    """A whole run: submitted, started, its steps interleaved, an end or none yet, perhaps retried."""
    names = [f"step-{number}" for number in range(draw(st.integers(1, most_steps)))]
    steps = _interleaved(draw, [list(draw(step_histories(step_id=name))) for name in names])
    history: list[Event] = [draw(event_of(model.RunSubmitted)), draw(event_of(model.WorkflowStarted)), *steps]
    ends = [model.WorkflowCompleted, model.WorkflowFailed, model.WorkflowCancelled]
    if draw(st.booleans()):
        history.append(draw(events(ends)))
    if draw(st.booleans()):
        history += [draw(event_of(model.WorkflowRetryStarted)), draw(event_of(model.WorkflowStarted))]
    return _at_times(draw, history)


@st.composite
def _attempt(draw: st.DrawFn, step_id: str, number: int, *, is_last: bool) -> list[StepEvent]:
    def one_of(*kinds: type[Any], **fixed: Any) -> list[StepEvent]:
        return [draw(events(kinds, step_id=step_id, **{"attempt_number": number, **fixed}))]

    events_so_far = one_of(model.StepScheduled) + one_of(model.StepStarted)
    for _ in range(draw(st.integers(0, 2))):
        events_so_far += one_of(model.StepHeartbeat, model.LogEntry, model.StepCheckpoint, model.StepCheckpointFailed)
    if number > 1 and draw(st.booleans()):
        events_so_far += one_of(model.StepCompleted, model.StepFailed, attempt_number=number - 1)
    if not is_last:
        retried = one_of(model.StepFailed, terminal=False) + one_of(model.StepRetrying)
        return events_so_far + (retried if draw(st.booleans()) else one_of(model.StepReclaimed))
    ends = {"completed": model.StepCompleted, "skipped": model.StepSkipped, "failed": model.StepFailed}
    end = draw(st.sampled_from([*ends, "none yet"]))
    return events_so_far + (one_of(ends[end], **({"terminal": True} if end == "failed" else {})) if end in ends else [])


def _interleaved(draw: st.DrawFn, histories: list[list[StepEvent]]) -> list[StepEvent]:
    merged: list[StepEvent] = []
    while waiting := [history for history in histories if history]:
        merged.append(draw(st.sampled_from(waiting)).pop(0))
    return merged


def _at_times(draw: st.DrawFn, history: Sequence[Any], *, least_gap_us: int = 1) -> list[Any]:
    """The same events, one after the other: the times are unique and ascending unless the least gap says otherwise."""
    gaps = draw(st.lists(st.integers(least_gap_us, 5_000_000), min_size=len(history), max_size=len(history)))
    times = list(accumulate(gaps, initial=START_US))[1:]
    return [
        event.model_copy(update={"timestamp_us": us, "event_id": str(us)})
        for event, us in zip(history, times, strict=True)
    ]
