"""The command `cascade`: its verbs, and the one place where errors become a line and an exit status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cascade_flow.cli import (
    build_verb,
    check_verb,
    command_verbs,
    complaints,
    completion,
    console_verb,
    dead_letter_verbs,
    deploy_verb,
    dev_verb,
    doctor_verb,
    exits,
    history_verbs,
    init_verb,
    limit_verb,
    preflight,
    report_verbs,
    run_verbs,
    schedule_verbs,
    send_verb,
    smoke_verb,
    stack_verbs,
    step_verb,
    worker_verb,
    workflow_verbs,
)
from cascade_flow.cli.help import Verb, Verbs
from cascade_flow.cli.screen import Screen
from cascade_flow.cli.target import EnvOption, JsonOption, RegionOption, StackOption, Target, UrlOption
from cascade_flow.errors import CascadeFlowError

app = typer.Typer(
    name="cascade",
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
for verb, panel in [
    (init_verb.init, "The stack on this machine"),
    (check_verb.check, "The stack on this machine"),
    (stack_verbs.up, "The stack on this machine"),
    (dev_verb.dev, "The stack on this machine"),
    (stack_verbs.down, "The stack on this machine"),
    (stack_verbs.env, "The stack on this machine"),
    (deploy_verb.deploy, "AWS"),
    (build_verb.build, "AWS"),
    (smoke_verb.smoke, "AWS"),
    (preflight.preflight, "AWS"),
    (worker_verb.worker, "Machines of your own"),
    (console_verb.console, "Workflows and runs"),
    (workflow_verbs.workflows, "Workflows and runs"),
    (limit_verb.limits, "Workflows and runs"),
    (run_verbs.run, "Workflows and runs"),
    (run_verbs.runs, "Workflows and runs"),
    (run_verbs.show, "Workflows and runs"),
    (history_verbs.events, "Workflows and runs"),
    (history_verbs.logs, "Workflows and runs"),
    (step_verb.step, "Workflows and runs"),
    (send_verb.send, "Workflows and runs"),
    (command_verbs.cancel, "Workflows and runs"),
    (command_verbs.retry, "Workflows and runs"),
    (command_verbs.resume, "Workflows and runs"),
    (command_verbs.rerun, "Workflows and runs"),
    (doctor_verb.doctor, "What is the matter"),
    (report_verbs.stats, "What is the matter"),
    (report_verbs.errors, "What is the matter"),
    (report_verbs.workers, "What is the matter"),
    (completion.completion, "This terminal"),
]:
    app.command(cls=Verb, rich_help_panel=panel)(verb)
app.add_typer(schedule_verbs.schedules, rich_help_panel="Workflows and runs")
app.add_typer(dead_letter_verbs.dead_letters, rich_help_panel="What is the matter")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415  (for this option only)

        print(f"cascade-flow {version('cascade-flow')}")
        raise typer.Exit


@app.callback()
def cascade(
    context: typer.Context,
    stack: StackOption = None,
    env: EnvOption = None,
    region: RegionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Durable workflows on AWS, on this machine or in the cloud: the verbs are the same.

    Exit status:

      0 done
      1 the watched run failed or was cancelled; of many, some were refused;
        something is late or stuck, or would break
      2 wrong use or configuration
      3 the engine can't be reached
      4 there is no such run, step, workflow or schedule
      5 the run is in no state for that: over already, or not yet
      130 interrupted

    Examples:

      $ cascade init my-flows
      $ cascade up
      $ cascade run hello --watch
      $ cascade runs --env prod
    """
    context.obj = Target(stack, env, region, url, as_json)


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say; answers the exit status."""
    if (odd := next((each for each in arguments if not _is_unicode(each)), None)) is not None:
        _complain(f"the argument {odd!r} is no UTF-8: write it in UTF-8")
        return exits.WRONG_USE
    try:
        status: Any = app(list(arguments), prog_name="cascade", standalone_mode=False)
    except typer.TyperException as error:
        _complain(_usage(error))
        return error.exit_code
    except CascadeFlowError as error:
        _complain(complaints.told(error))
        return exits.status_of(error)
    except (KeyboardInterrupt, typer.Abort):
        return exits.INTERRUPTED
    except SystemExit:  # typer's answer to a reader that has gone, as `head` does
        return exits.OK
    return status if isinstance(status, int) else exits.OK


def _is_unicode(text: str) -> bool:
    """Whether the text can be sent: of bytes that are no UTF-8, the shell's words hold halves of characters."""
    return text == text.encode("utf-8", "ignore").decode()


def _complain(text: str) -> None:
    if text:
        Screen(as_json=True).complain(text)


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    message = error.format_message().replace("Value error, ", "").rstrip(".")
    stop = "" if message.endswith("?") else "."
    return f"{message}{stop} See: {context.command_path} --help" if message and context else message
