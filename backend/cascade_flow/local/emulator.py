"""The AWS emulator as a process: installed once into an environment of its own, started, waited for, ended.

Its processes are known by the interpreter they run, which no other project has: a pid alone may be anybody's by now.
Nothing here knows templates or functions.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from importlib import resources
from pathlib import Path

from cascade_flow.clock import now_us, pause_us
from cascade_flow.errors import BackendUnavailableError, ConfigurationError
from cascade_flow.local.state import REGION, LocalStack
from cascade_flow.local.tools import run, uv

_START_PATIENCE_US = 120_000_000
_STOP_PATIENCE_US = 2_000_000
_DEATH_PATIENCE_US = 60_000_000
"""What is killed ends as soon as the machine comes to it."""
_GLANCE_US = 50_000
_LAST_PORT = 65_535
_FILES = resources.files("cascade_flow.local")


def environment(home: Path) -> Path:
    """Where the emulator is installed, for this interpreter and this lock file."""
    lock = _FILES.joinpath("emulator.txt").read_bytes()
    return home / f"emulator-{hashlib.sha256(lock + sys.version.encode()).hexdigest()[:12]}"


def python(home: Path) -> Path:
    """The interpreter that runs the emulator, and so every function of the local stack."""
    return environment(home) / "bin" / "python"


def is_installed(home: Path) -> bool:
    return (environment(home) / "complete").exists()


def install(home: Path) -> None:
    """Install the emulator. ConfigurationError, saying why, where that fails.

    Compiled, since its functions' processes start by the dozen and may not be allowed to write bytecode.
    """
    place = environment(home)
    shutil.rmtree(place, ignore_errors=True)
    run([uv(), "venv", "--quiet", "--python", sys.executable, str(place)], "make the emulator's environment")
    with resources.as_file(_FILES.joinpath("emulator.txt")) as lock:
        command = [uv(), "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python(home))]
        run([*command, "--requirement", str(lock)], "install the emulator")
    (place / "complete").touch()


def start(home: Path, *, port: int, stack_name: str, sweep_ms: int) -> LocalStack:
    """Start the emulator, detached, and return at once. ConfigurationError where the port is taken."""
    if _is_taken(port):
        raise ConfigurationError(
            f"Port {port} is taken by another program. Stop that, or choose another port: "
            f"cascade up --port {_free_port(after=port)}"
        )
    access_key, secret_key = f"LOCAL{secrets.token_hex(8).upper()}", secrets.token_urlsafe(32)
    scratch = home / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    seen = _clean_environment(port, scratch) | _owner(access_key, secret_key)
    with resources.as_file(_FILES.joinpath("boot.py")) as boot:
        command = [str(python(home)), "-I", str(boot), str(log_path(home)), str(port), stack_name, str(sweep_ms)]
        pid = run(command, "start the emulator", folder=home, environment=seen)
    return LocalStack(int(pid), port, stack_name, access_key, secret_key)


def wait_until_ready(home: Path, stack: LocalStack) -> None:
    """Return once the emulator answers. BackendUnavailableError, with its last words, where it ends or is too slow."""
    deadline_us = now_us() + _START_PATIENCE_US
    while not _is_ready(stack):
        if stack.pid not in processes(home, stack) or now_us() > deadline_us:
            stop(home)
            said = _last_line(log_path(home))
            raise BackendUnavailableError(f"The emulator did not start: {said} The whole story: {log_path(home)}")
        pause_us(_GLANCE_US)


def log_path(home: Path) -> Path:
    """What the emulator says, and what the functions print."""
    return home / "emulator.log"


def answers(home: Path, stack: LocalStack) -> bool:
    """Whether the emulator of this stack runs and is ready."""
    return stack.pid in processes(home, stack) and _is_ready(stack)


def processes(home: Path, stack: LocalStack, *, function: str = "") -> list[int]:
    """The emulator's process, if it lives, and those of its functions: what our interpreter runs in its group.

    With a function's name, the processes that stand ready to run it or do so now.
    """
    mark = f"ministack-lambda-{function}-" if function else ""
    return [pid for pid, group, command in _ours(home) if group == stack.pid and mark in command]


def is_left(home: Path) -> bool:
    """Whether any emulator of this project lives, or a function's process; remembered or not."""
    return bool(_ours(home))


def stop(home: Path) -> None:
    """End every emulator of this project and every function's process, and return when none is left. Idempotent.

    One that nobody had the time to remember too.
    """
    for sign, patience_us in ((signal.SIGTERM, _STOP_PATIENCE_US), (signal.SIGKILL, _DEATH_PATIENCE_US)):
        deadline_us = now_us() + patience_us
        while (left := _ours(home)) and now_us() < deadline_us:
            for pid, _, _ in left:
                _signal(pid, sign)
            pause_us(_GLANCE_US)


def last_complaint(home: Path, name: str) -> str | None:
    """The last error that the emulator noted about this function. None where it noted none."""
    lines = log_path(home).read_text(encoding="utf-8", errors="replace").splitlines()
    complaints = [line for line in lines if " ERROR " in line and name in line]
    return complaints[-1].split(" ERROR ", 1)[1] if complaints else None


def _ours(home: Path) -> list[tuple[int, int, str]]:
    """Pid, group and command of what this project's interpreter runs."""
    ours, command = f" {python(home)} ", ["ps", "-A", "-ww", "-o", "pid=,pgid=,command="]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    return [(int(pid), int(group), command) for pid, group, command in rows if ours in f" {command} "]


def _is_ready(stack: LocalStack) -> bool:
    try:
        with urllib.request.urlopen(f"{stack.endpoint_url}/_ministack/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _signal(pid: int, sign: signal.Signals) -> None:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return


def _is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _free_port(*, after: int) -> int:
    """The next port that nobody has; below, where there is none above."""
    candidates = [*range(after + 1, _LAST_PORT + 1), *range(after - 1, 1023, -1)]
    return next((port for port in candidates if not _is_taken(port)), after)


def _clean_environment(port: int, scratch: Path) -> dict[str, str]:
    """All that the emulator, and so each function, sees of this machine: none of the user's own variables."""
    return {
        "PATH": os.defpath,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "false",
        "SFTP_ENABLED": "0",
    }


def _owner(access_key: str, secret_key: str) -> dict[str, str]:
    """Whose the emulator is: in its environment, which other users of the machine can't read. Functions get others."""
    return {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing."
