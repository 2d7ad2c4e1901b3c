"""What the README shows works: its first workflow runs to its end, and its commands are commands."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
import typer.main

from cascade_flow import DynamoDBBackend, RunSubmission, StepError, Workflow
from cascade_flow.cli import exits
from cascade_flow.cli.app import app
from cascade_flow.worker.loop import Worker
from checker import check_run
from simulated_queue import Mailbox
from simulation import TIMING, TickingClock
from testbed.servers import Store

README = Path(__file__).parents[3] / "README.md"
LONGEST_MS = 900_000


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def orders() -> Workflow:
    """The README's workflow, imported as a user's module is."""
    module = ModuleType("orders")
    code, _ = blocks("python")
    exec(compile(code, "orders.py", "exec"), vars(module))
    found: Workflow = module.orders
    return found


def test_the_first_workflow_has_twenty_lines() -> None:
    code, _ = blocks("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 20


def test_the_first_workflow_runs(orders: Workflow, dynamodb: Store, time: TickingClock) -> None:
    mailbox = Mailbox(dynamodb)
    backend = DynamoDBBackend(dynamodb.table, client=dynamodb.client, queue=mailbox, timing=TIMING)
    backend.register_workflow(orders.registration())
    order = {"customer": "Ada", "prices": [19.9, 5]}
    run_id = backend.submit_run(RunSubmission(workflow_slug="orders", input=order)).run_id
    worker = Worker(backend.runtime, {"orders": orders}, worker_id="reader")
    while mailbox.wakes:
        worker.work(mailbox.wakes.pop(0), remaining_ms=lambda: LONGEST_MS)
    checked = check_run(backend, run_id)
    assert json.loads(checked.events[-1].output) == {"receipt": "2 things: Ada paid 24.90"}


def test_the_second_example_runs(
    orders: Workflow, dynamodb: Store, time: TickingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = DynamoDBBackend(dynamodb.table, client=dynamodb.client, timing=TIMING)
    backend.register_workflow(orders.registration())
    order = {"customer": "Ada", "prices": [19.9, 5]}
    runs = [backend.submit_run(RunSubmission(workflow_slug="orders", input=order)).run_id for _ in range(2)]
    for run_id in runs:
        backend.claim_scheduled_step("orders", run_id, "total", "reader")
    error = StepError(message="no")
    backend.save_step_failed(
        "orders",
        runs[0],
        "total",
        error,
        duration_us=1,
        attempt_number=1,
        terminal=True,
        failure_reason="execution-error",
    )
    monkeypatch.setattr("cascade_flow.settings.open_backend", lambda: backend)
    _, code = blocks("python")
    exec(compile(code.replace('"RUN"', repr(runs[1])), "again.py", "exec"), {})
    assert Counter(run.status for run in backend.list_runs().runs) == {"running": 3}
    for run in backend.list_runs().runs:
        check_run(backend, run.run_id)


def commands() -> list[str]:
    written = [line.strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in written if line.startswith("cascade ")]


@pytest.mark.parametrize("command", commands())
def test_the_commands_are_commands(command: str) -> None:
    words = shlex.split(command, comments=True)[1:]
    group = typer.main.get_command(app)
    with group.make_context("cascade", words) as context:  # type: ignore[attr-defined]
        name, verb, rest = group.resolve_command(context, [*context._protected_args, *context.args])  # type: ignore[attr-defined]
        with verb.make_context(name, rest, parent=context):
            pass


def test_every_verb_is_in_the_table() -> None:
    text = README.read_text(encoding="utf-8")
    verbs = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    assert [verb for verb in verbs if f"`cascade {verb}" not in text] == []


def test_every_exit_status_is_told() -> None:
    told = re.search(r"^Exit status: (.*?)\n\n", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert told
    known = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert {int(each) for each in re.findall(r"(?:^|; )(\d+) ", told[1].replace("\n", " "))} == known
