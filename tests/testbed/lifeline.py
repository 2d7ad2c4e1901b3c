"""Run a command on a leash: it ends when whoever started it ends, however that happens (Ctrl-C and kill -9 too).

`python leash.py command…` runs the command in a process group of its own and reads its own input: when that closes, or
on SIGTERM, the whole group is ended. Standard library only, since it runs before anything is importable.
"""

import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 2
letting_go = threading.Event()


def main() -> None:
    """Start the command, and hold on until it ends or nobody holds the leash."""
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: _let_go(command))
    threading.Thread(target=_follow, args=(command,), daemon=True).start()
    sys.stdin.buffer.read()
    _let_go(command)


def _follow(command: "subprocess.Popen[bytes]") -> None:
    """Ends with the command, unless it is being let go: then that thread has the last word."""
    code = command.wait()
    if not letting_go.is_set():
        os._exit(code)


def _let_go(command: "subprocess.Popen[bytes]") -> None:
    letting_go.set()
    os.killpg(command.pid, signal.SIGTERM)
    try:
        command.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(command.pid, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
