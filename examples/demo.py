"""What `make demo` runs: the stack on this machine, a workflow on real data, and one whose worker is killed on the way.

Everything is done by commands that you can type yourself; each is shown before it runs. What was started is ended
again, also after a failure or Ctrl-C.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cascade_flow.errors import BackendUnavailableError
from cascade_flow.local import DEFAULT_PORT, LocalStack, Project, running
from cascade_flow.local.emulator import processes

ROOT = Path(__file__).resolve().parents[1]
PROJECT = Project(ROOT)
ACTIVATE = os.path.relpath(Path(sys.prefix) / "bin" / "activate", ROOT)
CASCADE = [sys.executable, "-m", "cascade_flow.cli"]
CHART = PROJECT.home / "demo" / "seattle-weather.svg"
STEP = "long_haul"
PATIENCE_S = 60


def main() -> None:
    """`--port` says where the stack is to answer."""
    parser = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--port", type=_port, help="where the stack answers; where it runs already, it stays where it is"
    )
    asked = parser.parse_args().port
    began = time.monotonic()
    say("The stack that AWS would run, here; two workflows; one crash. About a minute.")
    with stack(asked):
        weather()
        crash()
        say("Look around yourself", f". {ACTIVATE}", "cascade up", "cascade run mishaps --watch", "cascade --help")
        say("Then read README.md; your own workflows go into examples/workflows.")
    say(f"That was all, in {time.monotonic() - began:.0f} s.")


@contextmanager
def stack(asked: int | None) -> Iterator[None]:
    """The local stack, ended with the block, unless somebody else had started it."""
    if found := running_stack():
        say(f"A stack runs already (port {found.port}): the demo uses it, and leaves it running.")
    port = found.port if found else free_port(asked)
    try:
        cascade("up", *([] if port == DEFAULT_PORT else ["--port", str(port)]))
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if not found:
            cascade("down", new_session=True)


def weather() -> None:
    """Real data: read, check, three looks at once, a chart."""
    say("1. Four years of weather: read, checked, looked at from three sides, drawn.")
    cascade("run", "seattle-weather", "--watch")
    run = answer("runs", "--workflow", "seattle-weather", "--limit", "1")["runs"][0]["runId"]
    CHART.parent.mkdir(parents=True, exist_ok=True)
    with CHART.open("w", encoding="utf-8") as file:
        cascade("show", run, "--output", "chart", into=file, shown_as=f"> {CHART.relative_to(ROOT)}")
    say(f"The chart is in {CHART.relative_to(ROOT)}: open it in a browser.")


def crash() -> None:
    """Retries, a timeout, a skip; and a worker's process that is killed while it works."""
    say(f"2. Everything goes wrong, on purpose: in the middle of {STEP} its process is killed.")
    submission = ("run", "mishaps", "--input", '{"legs": 16}')
    show(*submission, "--watch")
    run = answer(*submission)["runId"]
    watch = subprocess.Popen([*CASCADE, "show", run, "--watch"], cwd=ROOT)
    victim = kill_worker_of(run)
    if watch.wait() != 0:
        raise failure("the run did not complete", run)
    cascade("events", run, "--step", STEP, "--type", "StepStarted,StepReclaimed,StepCompleted")
    events = answer_lines("events", run, "--step", STEP)
    count = Counter(event["type"] for event in events)
    if (count["StepStarted"], count["StepReclaimed"], count["StepCompleted"]) != (2, 1, 1):
        raise failure(f"{STEP} should have started twice, been reclaimed once and completed once: {dict(count)}", run)
    say(
        f"Process {victim} was killed (SIGKILL) in the middle of {STEP}. Another one went\n"
        "on from the last leg that was stored: the step ran twice, and was completed once."
    )


def kill_worker_of(run: str) -> int:
    """Wait until the step has done some of its legs, then kill the process that does them."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        lines = [line["message"] for line in answer_lines("logs", run, STEP, "--attempt", "1")]
        pids = [int(found[1]) for line in lines if (found := re.search(r"in process (\d+)", line))]
        if pids and len(lines) > 3:
            check_is_ours(pids[0], run)
            os.kill(pids[0], signal.SIGKILL)
            return pids[0]
    raise failure(f"{STEP} wrote nothing in {PATIENCE_S} s", run)


def check_is_ours(pid: int, run: str) -> None:
    """Never kill a process that isn't the local stack's."""
    found = running_stack()
    if found is None or pid not in processes(PROJECT.home, found):
        raise failure(f"process {pid} is none of the local stack's", run)


def running_stack() -> LocalStack | None:
    try:
        return running(PROJECT)
    except BackendUnavailableError:
        return None


def _port(given: str) -> int:
    if not given.isdecimal() or not 1 <= int(given) <= 65_535:
        raise ArgumentTypeError(f"{given!r} is no port: give a number from 1 to 65535")
    return int(given)


def free_port(asked: int | None) -> int:
    """The port that was asked for; else the usual one, or any other where that is taken."""
    for port in (DEFAULT_PORT, 0) if asked is None else (asked,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    sys.exit("demo: no free port" if asked is None else f"demo: port {asked} is taken: name another")


def start(*arguments: str, into: Any = None, shown_as: str = "", new_session: bool = False) -> subprocess.Popen[str]:
    """Show a command, and start it."""
    show(*arguments, shown_as)
    return subprocess.Popen([*CASCADE, *arguments], cwd=ROOT, stdout=into, text=True, start_new_session=new_session)


def cascade(*arguments: str, **how: Any) -> None:
    """Show a command, do it, and stop the demo where it fails."""
    if start(*arguments, **how).wait() != 0:
        sys.exit(f"demo: `cascade {arguments[0]}` failed")


def answer(*arguments: str) -> Any:
    """What a command answers with --json."""
    return json.loads(output(*arguments))


def answer_lines(*arguments: str) -> list[Any]:
    """The same for commands that answer with a line for each thing."""
    return [json.loads(line) for line in output(*arguments).splitlines()]


def output(*arguments: str) -> str:
    done = subprocess.run([*CASCADE, *arguments, "--json"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"demo: `cascade {arguments[0]}` failed")
    return done.stdout


def show(*words: str) -> None:
    """A command as one would type it."""
    typed = [f"'{word}'" if " " in word and not word.startswith(">") else word for word in words if word]
    print("\n$ cascade", " ".join(typed), flush=True)


def say(text: str, *commands: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")
    print(f"\n{bold}{text}{plain}", *(f"  {command}" for command in commands), sep="\n", flush=True)


def failure(why: str, run: str) -> SystemExit:
    """What ends the demo; the run is shown as it is."""
    subprocess.run([*CASCADE, "show", run], cwd=ROOT, check=False)
    return SystemExit(f"demo: {why}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
