"""The plugin as a user's project has it: nothing but the install, whatever else pytest is given."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from cascade_flow import ConfigurationError, Workflow
from cascade_flow.testing import Engine
from cascade_flow.testing.on_a_stack import OnAStack

pytest_plugins = ["pytester"]

FLOW = """
    from cascade_flow import Retry, Workflow

    flow = Workflow("flow")

    @flow.step(export=True, retry=Retry(max_attempts=2, delay=60))
    def double(input: int) -> int:
        print("doubling", input)
        return 2 * input
"""
PASSES = """
    from flow import flow

    def test_it(engine):
        assert engine.run(flow, 4).output == {"double": 8}
"""
MOST_MS = 30


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project that has a workflow, and takes every warning for an error."""
    pytester.makepyfile(flow=FLOW)
    pytester.makeini("[pytest]\npythonpath = .\nfilterwarnings = error\naddopts = --strict-markers --strict-config")
    return pytester


@pytest.mark.parametrize(
    "options", [["-p", "no:cacheprovider", "-s", "--import-mode=importlib"], ["-n", "2", "--capture=sys"]], ids=str
)
def test_the_fixture_is_there(project: pytest.Pytester, options: list[str]) -> None:
    project.makepyfile(test_it=PASSES)
    project.runpytest_subprocess(*options).assert_outcomes(passed=1)


def test_each_test_has_an_engine_of_its_own(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_it="""
        from flow import flow

        def test_one(engine, cascade_engine):
            assert engine is cascade_engine
            engine.run(flow, 1, idempotency_key="same")

        def test_other(engine):
            assert engine.run(flow, 2, idempotency_key="same").output == {"double": 4}
        """
    )
    project.runpytest_inprocess().assert_outcomes(passed=2)


def test_a_projects_own_engine_goes_first(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_it="""
        import pytest
        from flow import flow

        @pytest.fixture
        def engine():
            return "a database's"

        def test_both(engine, cascade_engine):
            assert engine == "a database's"
            assert cascade_engine.run(flow, 1).status == "completed"
        """
    )
    project.runpytest_inprocess().assert_outcomes(passed=1)


def test_a_failure_is_readable(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_it="""
        from flow import flow

        def test_output(engine):
            assert engine.run(flow, 4, fake={"double": lambda input: 1 / 0}).output == {"double": 8}

        def test_status(engine):
            result = engine.run(flow, 2, fake={"double": ValueError("declined")})
            assert result.status == "completed"

        def test_input(engine):
            assert engine.run(flow, "four").output == {"double": 8}
        """
    )
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=3)
    told = result.stdout.str()
    assert "lambda input: 1 / 0" in told
    assert "ZeroDivisionError: division by zero" in told
    assert "'failed' == 'completed'" in told
    assert "<run of flow failed: step 'double': ValueError: declined | double failed>" in told
    assert "the run's input does not fit int" in told
    assert "cascade_flow/testing/" not in told, "our own frames are nobody's business"


BREAKPOINT = """
    from cascade_flow import Retry, Workflow
    from cascade_flow.testing import Engine

    flow = Workflow("debugged")

    @flow.step(export=True, timeout=0.2, retry=Retry(max_attempts=1))
    def stops(input: int) -> int:
        secret = input + 40
        print("before")
        breakpoint()
        print("after")
        return secret

    def test_it(engine):
        result = engine.run(flow, 2)
        assert result.output == {"stops": 42}
"""


def debugged(project: pytest.Pytester, *commands: str, options: tuple[str, ...] = ()) -> pytest.RunResult:
    """The test, and what somebody types at its breakpoint."""
    project.makepyfile(test_it=BREAKPOINT)
    typed = "".join(f"{command}\n" for command in commands).encode()
    return project.run(sys.executable, "-m", "pytest", *options, "test_it.py", stdin=typed)


@pytest.mark.parametrize("options", [(), ("-s",)], ids=str)
def test_a_breakpoint_in_a_step_stops_there(project: pytest.Pytester, options: tuple[str, ...]) -> None:
    """For longer than the step's timeout, which nobody who debugs wants to meet."""
    wait = "import threading; threading.Event().wait(0.5)"
    result = debugged(project, wait, "p 'the secret is', secret", "c", options=options)
    result.assert_outcomes(passed=1)
    assert "('the secret is', 42)" in result.stdout.str()


def test_quitting_the_debugger_ends_the_test(project: pytest.Pytester) -> None:
    """And not the attempt, so that another one would stop there again."""
    result = debugged(project, "q")
    assert result.stdout.str().count("(Pdb)") == 1
    assert "Quitting debugger" in result.stdout.str()


def test_loading_it_takes_no_time() -> None:
    """Against what pytest itself has imported already."""
    measure = (
        "import time, pytest; begun = time.process_time(); import cascade_flow.testing.plugin; "
        "print((time.process_time() - begun) * 1000)"
    )
    took_ms = [float(subprocess.check_output([sys.executable, "-c", measure])) for _ in range(3)]
    assert min(took_ms) < MOST_MS
    loaded = "import sys, cascade_flow.testing.plugin; print(*(n for n in sys.modules if n.startswith('cascade_flow')))"
    assert subprocess.check_output([sys.executable, "-c", loaded], text=True).split() == [
        "cascade_flow",
        "cascade_flow.testing",
        "cascade_flow.testing.plugin",
    ]


def test_a_user_needs_no_more_than_the_package() -> None:
    """Nothing that only tests of this repository have, nor boto3, whose import takes longer than a test."""
    run = (
        "import sys\n"
        "for name in ('moto', 'hypothesis', 'greenlet', 'xdist', 'pytest', 'boto3', 'botocore', 'typer', 'urllib3'):\n"
        "    sys.modules[name] = None\n"
        "from cascade_flow import Workflow\n"
        "from cascade_flow.testing import Engine\n"
        "flow = Workflow('flow')\n"
        "@flow.step(export=True)\n"
        "def one() -> int:\n"
        "    return 1\n"
        "with Engine() as engine:\n"
        "    print(engine.run(flow).output)\n"
    )
    assert subprocess.check_output([sys.executable, "-c", run], text=True).strip() == "{'one': 1}"


class Api:
    """A stack's API, as far as a run needs it."""

    def __init__(self, version: str) -> None:
        self.version = version

    def workflow(self, slug: str) -> Mapping[str, Any]:
        return {"slug": slug, "versionId": self.version}

    def close(self) -> None:
        return None


def on_a_stack(version: str = "other") -> Engine:
    return Engine(OnAStack(Api(version), refuse=lambda what: pytest.skip(what)))


@pytest.fixture
def flow() -> Workflow:
    flow = Workflow("flow")

    @flow.step
    def one() -> int:
        return 1

    return flow


def test_what_only_a_process_can_skips_the_test_on_a_stack(flow: Workflow) -> None:
    with on_a_stack() as engine:
        with pytest.raises(pytest.skip.Exception, match="fake= is for runs in the test's own process"):
            engine.run(flow, fake={"one": 1})
        with pytest.raises(pytest.skip.Exception, match="kill is for"):
            engine.kill("one")
        with pytest.raises(pytest.skip.Exception, match="advance is for"):
            engine.advance("1h")


def test_a_stack_with_other_code_is_told(flow: Workflow) -> None:
    with on_a_stack() as engine, pytest.raises(ConfigurationError, match="another version of 'flow'"):
        engine.run(flow)


def test_two_places_are_refused(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--cascade-local", "--cascade-stack", "prod")
    result.stderr.fnmatch_lines(["*give one of them*"])


def test_no_stack_here_is_told(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=PASSES)
    result = project.runpytest_inprocess("--cascade-local")
    result.assert_outcomes(errors=1)
    assert "no cascade.toml" in result.stdout.str()


def test_other_peoples_assertions_are_told_as_ever(project: pytest.Pytester) -> None:
    """A mock answers to every name: what it is asked for proves nothing."""
    project.makepyfile(
        test_it="""
        from unittest.mock import Mock, call

        def test_a_call(engine):
            mock = Mock()
            mock(1)
            assert mock.call_args == call(2)

        def test_an_attribute():
            assert Mock().number == 3
        """
    )
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*assert call(1) == call(2)*", "*assert <Mock name=*number* == 3*"])
