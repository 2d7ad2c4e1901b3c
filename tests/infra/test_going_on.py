"""`up` after all that can become of an `up` before it: it goes on, keeps the data, and what is said then is true."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cascade_flow.errors import BackendUnavailableError, ConfigurationError
from cascade_flow.local import LocalStack, Project, deployment, down, emulator, running, state, up
from cascade_flow.local.deployment import client
from cascade_flow.local.formation import Formation
from cascade_flow.local.place import Place, here
from infra.test_local_stack import until
from infra.thin import WORKFLOWS, Orders, declare, flows

TWO = flows("one", "two")
_BACKEND = Path(__file__).parents[2] / "backend"


@pytest.fixture
def orders(project: Project) -> Orders:
    declare(project, WORKFLOWS)
    return Orders.given(project.root)


@pytest.fixture
def stack(project: Project, orders: Orders) -> LocalStack:
    list(up(project))
    return running(project)


@pytest.fixture
def nothing(project: Project, orders: Orders) -> None:
    """No stack runs."""
    list(down(project))


def command(project: Project) -> subprocess.Popen[bytes]:
    """`cascade up`, as it is typed."""
    typed = [sys.executable, "-m", "cascade_flow.cli", "up", "--port", str(project.port)]
    environment = {**os.environ, "PYTHONPATH": str(_BACKEND)}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(typed, cwd=project.root, env=environment, stdout=quiet, stderr=quiet)


def status(stack: LocalStack) -> str:
    found = client(stack, "cloudformation").describe_stacks(StackName=stack.stack_name)
    return str(found["Stacks"][0]["StackStatus"])


def nothing_is_left(project: Project) -> bool:
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "command="], capture_output=True, text=True, check=True).stdout
    return state.read(project.home) is None and str(emulator.python(project.home)) not in listed


def test_an_update_that_failed_and_whose_undoing_failed_twice(
    project: Project, stack: LocalStack, orders: Orders
) -> None:
    table = client(stack, "dynamodb")
    datum = {"pk": {"S": "kept"}, "sk": {"S": "x"}}
    table.put_item(TableName=stack.outputs["TableName"], Item=datum)
    declare(project, TWO)
    orders.fail(times=3)
    with pytest.raises(ConfigurationError, match="Registration: its function failed: out of breath"):
        list(up(project))
    assert status(stack) == "UPDATE_ROLLBACK_FAILED"
    assert running(project).outputs == stack.outputs
    list(up(project))
    assert running(project).outputs["RegisteredWorkflows"] == "one,two"
    assert running(project).pid == stack.pid
    assert table.get_item(TableName=running(project).outputs["TableName"], Key=datum)["Item"] == datum


class TestInterruptions:
    def test_an_update_that_is_broken_off_goes_on_and_so_does_the_next_up(
        self, project: Project, stack: LocalStack, orders: Orders
    ) -> None:
        declare(project, TWO)
        seen = orders.calls()
        with orders.held():
            upping = command(project)
            until(lambda: orders.calls() > seen)
            upping.send_signal(signal.SIGINT)
            assert upping.wait() == 130
            assert running(project).outputs == stack.outputs
            assert status(stack) == "UPDATE_IN_PROGRESS"
        list(up(project))
        assert running(project).outputs["RegisteredWorkflows"] == "one,two"
        assert running(project).pid == stack.pid

    def test_a_first_up_that_is_broken_off_leaves_none(self, project: Project, nothing: None, orders: Orders) -> None:
        seen = orders.calls()
        with orders.held():
            upping = command(project)
            until(lambda: orders.calls() > seen)
            upping.send_signal(signal.SIGINT)
            assert upping.wait() == 130
        assert nothing_is_left(project)

    @pytest.mark.parametrize(
        ("module", "moment"),
        [(state, "write"), (emulator, "wait_until_ready"), (deployment, "fingerprint")],
        ids=["before it is remembered", "while it starts", "when it runs"],
    )
    def test_at_any_moment_of_the_start(
        self, project: Project, nothing: None, module: Any, moment: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(module, moment, interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(up(project))
        assert nothing_is_left(project)

    def test_who_stops_listening_breaks_it_off(self, project: Project, nothing: None) -> None:
        steps = up(project)
        assert [next(steps), next(steps)][0].startswith("Starting")
        steps.close()
        assert nothing_is_left(project)

    def test_an_emulator_that_nobody_remembers_is_ended_too(self, project: Project, nothing: None) -> None:
        emulator.start(project.home, port=project.port or 0, stack_name="x", sweep_ms=1000)
        assert state.read(project.home) is None
        assert len(list(down(project))) == 1
        assert nothing_is_left(project)
        assert list(down(project)) == []

    def test_a_killed_up_is_told_and_the_next_goes_on(self, project: Project, nothing: None, orders: Orders) -> None:
        seen = orders.calls()
        with orders.held():
            upping = command(project)
            until(lambda: orders.calls() > seen)
            upping.kill()
            upping.wait()
            with pytest.raises(BackendUnavailableError, match=r"nothing is deployed to it yet.*go on: cascade up"):
                running(project)
            left = state.read(project.home)
            orders.fail(times=1)
        assert left is not None
        until(lambda: status(left) == "ROLLBACK_COMPLETE")
        list(up(project))
        assert running(project).pid == left.pid
        assert running(project).outputs["RegisteredWorkflows"] == "one"


class CloudFormation:
    """CloudFormation with one stack, whose next states are known."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def operation(*, StackName: str, **given: Any) -> None:
            assert StackName == "mine"
            self.asked.append((name, given))
            del self.states[0]

        return operation


@pytest.mark.parametrize(
    ("states", "asked"),
    [
        (["CREATE_COMPLETE"], []),
        (["UPDATE_ROLLBACK_COMPLETE"], []),
        (["ROLLBACK_COMPLETE", ""], [("delete_stack", {})]),
        (["ROLLBACK_FAILED", ""], [("delete_stack", {})]),
        (["CREATE_FAILED", ""], [("delete_stack", {})]),
        (
            ["ROLLBACK_FAILED", "DELETE_FAILED", ""],
            [("delete_stack", {}), ("delete_stack", {"RetainResources": ["Stuck"]})],
        ),
        (["UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_COMPLETE"], [("continue_update_rollback", {})]),
        (
            ["UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_COMPLETE"],
            [("continue_update_rollback", {}), ("continue_update_rollback", {"ResourcesToSkip": ["Stuck"]})],
        ),
    ],
    ids=lambda value: value[-1] if value and isinstance(value[0], str) else None,
)
def test_whatever_a_deployment_has_left(states: list[str], asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    aws = CloudFormation(*states)
    monkeypatch.setattr(Place, "client", lambda *_: aws)
    monkeypatch.setattr(Formation, "settled", lambda _: aws.states[0] or None)
    monkeypatch.setattr(Formation, "failed", lambda *_, since: ["Stuck"])
    deployment.make_deployable(here(LocalStack(1, 2, "mine", "LOCALKEY", "s3cret")))
    assert aws.asked == asked
