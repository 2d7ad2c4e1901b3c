"""A slot as its worker sees it: the process, what it holds, and the words that go to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from cascade_flow.client.asking import Json
from cascade_flow.client.workers import Attempt
from cascade_flow.remote.poller import Seat

_LAST_WORDS_S = 5
"""For how long its words are waited for when a process is gone: a child in a session of its own may hold the pipe."""
Hear = Callable[["SlotProcess", Json | None], None]


class SlotProcess:
    """A process of `remote/slot`. `hear` is told whatever it says, and None at its end."""

    def __init__(self, seat: Seat, spec: Mapping[str, Any], hear: Hear) -> None:
        self.seat = seat
        self.holds: Json | None = None
        self.is_ready = False
        self.is_free = False
        self._hear = hear
        self._outcome, outbox = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cascade_flow.remote"],
            stdin=subprocess.PIPE,
            stdout=sys.stderr.fileno(),
            pass_fds=[outbox],
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )
        os.close(outbox)
        self._say({**spec, "workerId": seat.worker_id, "outbox": outbox})
        self._listener = threading.Thread(target=self._listen, name=f"slot-{seat.index}", daemon=True)
        self._listener.start()
        threading.Thread(target=self._watch, name=f"slot-{seat.index}-end", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def attempt(self) -> Attempt | None:
        """What it holds."""
        return None if self.holds is None else Attempt.of(self.holds, self.seat.worker_id)

    def begin(self, claim: Json) -> None:
        self.is_free, self.holds = False, claim
        self._say({"claim": claim})

    def drain(self) -> None:
        """Go on with no further step."""
        self._say({"do": "drain"})

    def give_back(self) -> None:
        self._say({"do": "give back"})

    def kill(self) -> None:
        """With all that its step has started."""
        if self._process.returncode is None:  # else its number may be another's by now
            self._kill_session()

    def _kill_session(self) -> None:
        """The session is the slot's own."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> str:
        """How the process has ended, in words."""
        status = self._process.wait()
        return f"was killed by signal {-status}" if status < 0 else f"has ended with status {status}"

    def _say(self, words: Json) -> None:
        try:
            stream = self._process.stdin
            assert stream is not None
            stream.write(json.dumps(words, ensure_ascii=False) + "\n")
            stream.flush()
        except BrokenPipeError:
            return  # it is dead, which `hear` is told

    def _listen(self) -> None:
        with os.fdopen(self._outcome, encoding="utf-8") as outbox:
            for line in outbox:
                self._hear(self, json.loads(line))

    def _watch(self) -> None:
        """Tell of the end when the process ends, and end what its step has left, which may hold the pipe."""
        self._process.wait()
        self._kill_session()
        self._listener.join(_LAST_WORDS_S)
        self._hear(self, None)
