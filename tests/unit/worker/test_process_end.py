"""Code that ends its process: what it wrote is handed on, and the end is told."""

import subprocess
import sys

import pytest

CODE = """
import multiprocessing, os, sys
from cascade_flow.worker.capture import Capture

def tell(text):
    os.write(told, f"{text}\\n".encode())

told = os.dup(2)
with Capture(lambda lines: [tell(line.message) for line in lines], on_exit=tell):
    child = multiprocessing.get_context("fork").Process(target=os._exit, args=(0,))
    child.start(), child.join()
    print("flushed", flush=True)
    print("not flushed")
    sys.stdout.write("no end")
    os.write(1, b"written\\n")
    END
"""


@pytest.mark.parametrize(("end", "status"), [("os._exit(3)", 3), ("os.abort()", -6)])
def test_what_was_written_before_is_handed_on_and_the_end_is_told(end: str, status: int) -> None:
    code = CODE.replace("END", end)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    *lines, last = done.stderr.splitlines()
    assert done.returncode == status
    assert sorted(lines) == sorted(["flushed", "not flushed", "no end", "written"])
    assert last == f"the step ended its process with {end}"
