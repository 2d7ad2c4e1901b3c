"""Random graphs of random steps: every run comes to the end that its steps call for, and keeps every promise."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from cascade_flow import RetryTier, StepCompleted, StepDefinition, StepSkipped, clock
from cascade_flow.dynamodb.schema import create_table
from shapes import Shape
from simulation import TickingClock, World, step
from testbed.servers import MemoryServer, Server, fresh_table

ACTS = ["ok", "ok", "ok", "skip", "fail", "fatal", "large"]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Server]:
    server = MemoryServer()
    server.start()
    yield server
    server.stop()


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """Up to nine steps, each waiting for any of those before it; now and then one fails, skips or says too much."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 9)))]
    steps = [draw(_step(name, names[:number])) for number, name in enumerate(names)]
    script = {name: [draw(st.sampled_from(ACTS)), "ok"] for name in names}
    return Shape("random", steps, script=script)


@st.composite
def _step(draw: st.DrawFn, name: str, before: list[str]) -> StepDefinition:
    dependencies = draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if before else []
    retry = [RetryTier(max_attempts=draw(st.sampled_from([1, 3])), delay_ms=10)]
    options = {"export_output": draw(st.booleans()), "skip_cascades": draw(st.booleans()), "retry": retry}
    return step(name, *dependencies, **options)


def expected(shape: Shape) -> tuple[str, set[str]]:
    """How the run must end, and what must be skipped in one that completes."""
    skipped: set[str] = set()
    failed = False
    for each in shape.steps:
        gives_way = each.skip_cascades and skipped & set(each.dependencies)
        act = shape.script[each.id][0]
        skipped |= {each.id} if gives_way or act == "skip" else set()
        failed |= not gives_way and (act == "fatal" or (act == "fail" and each.retry[0].max_attempts == 1))
    return ("failed" if failed else "completed"), skipped


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(shape=shapes(), chained=st.booleans())
def test_every_graph_comes_to_the_end_that_its_steps_call_for(emulator: Server, shape: Shape, chained: bool) -> None:
    with fresh_table(emulator, create_table) as store, clock.use(TickingClock()) as time:
        world = World(store, shape.script, chained=chained, clock=time)
        world.register(shape.steps)
        run_id = world.submit(input={"order": 7})
        world.settle(run_id)
        checked = world.check(run_id)
        status, skipped = expected(shape)
        assert checked.status == status
        if status == "completed":
            assert {e.step_id for e in checked.events if isinstance(e, StepSkipped)} == skipped
            assert checked.count(StepCompleted) == len(shape.steps) - len(skipped)
