"""No emulator outlives the session, however the session ends."""

import os
import select
import subprocess
import sys

from testbed import lifeline

SERVES_FOR_EVER = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
STARTS_AND_WAITS = (
    "import signal, subprocess, sys\n"
    "dog = subprocess.Popen([sys.executable, sys.argv[1], sys.executable, '-c', sys.argv[2]],"
    " stdin=subprocess.PIPE, start_new_session=True)\n"
    "signal.pause()\n"
)


def ends(watch: int) -> bool:
    """True once the watched process has ended; False if it is still there after ten seconds."""
    gone, _, _ = select.select([watch], [], [], 10)
    os.close(watch)
    return bool(gone)


def test_closing_the_leash_ends_the_command() -> None:
    command = [sys.executable, lifeline.__file__, sys.executable, "-c", SERVES_FOR_EVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as dog:
        assert dog.stdout
        watch = os.pidfd_open(int(dog.stdout.readline()))
    assert ends(watch)


def test_killing_the_holder_ends_the_command() -> None:
    command = [sys.executable, "-c", STARTS_AND_WAITS, lifeline.__file__, SERVES_FOR_EVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        watch = os.pidfd_open(int(holder.stdout.readline()))
        holder.kill()
        assert ends(watch)


def test_a_command_that_ends_by_itself_ends_the_leash_with_its_code() -> None:
    command = [sys.executable, lifeline.__file__, sys.executable, "-c", "raise SystemExit(3)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as dog:
        assert dog.wait(10) == 3
