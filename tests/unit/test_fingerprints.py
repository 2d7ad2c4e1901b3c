"""Fingerprints: which errors are of one kind."""

from __future__ import annotations

import traceback
from hashlib import sha1

import pytest

from cascade_flow.fingerprints import compose_fingerprint, compute_error_fingerprints
from cascade_flow.model.events import ErrorFingerprints, StepError

CHAINED = """Traceback (most recent call last):
  File "/first/src/a.py", line 1, in never
    x
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/opt/app/src/flow/outer.py", line 10, in outer
    middle()
    ^^^^^^^^
  File "/opt/python/site-packages/lib/middle.py", line 20, in middle
    at = inner()
  File "/opt/app/inner.py", line 30, in inner
    at last
  File "relative/leaf.py", line 40, in leaf
    raise ValueError("no")
ValueError: no
"""


def stack_hashes(stack: str | None) -> tuple[str, str, str]:
    found = compute_error_fingerprints(StepError(message="m", stack=stack))
    return found.stack_exact_hash, found.stack_normalized_hash, found.stack_portable_hash


def hashed(*lines: str) -> str:
    return sha1("\n".join(lines).encode()).hexdigest()


def test_names_and_messages_are_hashed() -> None:
    found = compute_error_fingerprints(StepError(name="ValueError", message="größer"))
    assert (found.name_hash, found.message_hash) == (hashed("ValueError"), hashed("größer"))


def test_an_error_without_a_name_is_an_error() -> None:
    assert compute_error_fingerprints(StepError(message="")).name_hash == hashed("Error")


def test_no_stack_is_an_empty_one() -> None:
    assert set(stack_hashes(None)) == {hashed("")}


def test_three_frames_of_javascript() -> None:
    stack = "E: m\n at f (/any/path/src/x.js:1:2)\n  at g (/lib/y.js:3)\n at h (/z/node_modules/p/q.js:4:5)\n at i (r)"
    assert stack_hashes(stack) == (
        hashed("at f (/any/path/src/x.js:1:2)", "at g (/lib/y.js:3)", "at h (/z/node_modules/p/q.js:4:5)"),
        hashed("at f (/any/path/src/x.js)", "at g (/lib/y.js)", "at h (/z/node_modules/p/q.js)"),
        hashed("at f (src/x.js:1:2)", "at g (y.js:3)", "at h (node_modules/p/q.js:4:5)"),
    )


def test_the_three_innermost_frames_of_the_python_error_that_was_raised() -> None:
    assert stack_hashes(CHAINED) == (
        hashed(
            'File "relative/leaf.py", line 40, in leaf',
            'File "/opt/app/inner.py", line 30, in inner',
            'File "/opt/python/site-packages/lib/middle.py", line 20, in middle',
        ),
        hashed(
            'File "relative/leaf.py", in leaf',
            'File "/opt/app/inner.py", in inner',
            'File "/opt/python/site-packages/lib/middle.py", in middle',
        ),
        hashed(
            'File "relative/leaf.py", line 40, in leaf',
            'File "inner.py", line 30, in inner',
            'File "site-packages/lib/middle.py", line 20, in middle',
        ),
    )


def test_a_path_begins_with_the_last_folder_that_is_known() -> None:
    stack = 'Traceback (most recent call last):\n  File "/app/src/vendor/packages/m.py", line 1, in f\n    x\nE: m'
    assert stack_hashes(stack)[2] == hashed('File "packages/m.py", line 1, in f')


@pytest.mark.parametrize("folder", ["node_modules", "packages", "src", "dist"])
def test_a_frame_of_javascript_begins_with_a_folder_that_is_known(folder: str) -> None:
    assert stack_hashes(f" at f (/app/{folder}/x.js:1:2)")[2] == hashed(f"at f ({folder}/x.js:1:2)")


def test_paths_of_windows_are_made_relative() -> None:
    [frame] = ['File "C:\\app\\src\\x.py", line 1, in f']
    assert stack_hashes(frame)[2] == hashed('File "src/x.py", line 1, in f')


def test_a_real_traceback_is_recognized_wherever_it_is_raised() -> None:
    def fail() -> str:
        try:
            raise ValueError("x")
        except ValueError:
            return traceback.format_exc()

    exact, normalized, portable = stack_hashes(fail())
    assert hashed("") not in (exact, normalized, portable)


def test_the_strategy_chooses_the_stack() -> None:
    fingerprints = ErrorFingerprints(
        name_hash="n", message_hash="m", stack_exact_hash="e", stack_normalized_hash="o", stack_portable_hash="p"
    )
    assert compose_fingerprint(fingerprints, "exact") == "n:m:e"
    assert compose_fingerprint(fingerprints, "normalized") == "n:m:o"
    assert compose_fingerprint(fingerprints, "portable") == "n:m:p"
