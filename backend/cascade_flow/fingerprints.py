"""Fingerprints: hashes by which errors of one kind are recognized across runs, machines and line changes.

Hashed are the error's name, its message and the top three frames of its stack: as they are (exact), without line and
column numbers (normalized), with paths made relative (portable). Stacks of JavaScript and of Python are understood.
The hashes are part of the wire contract: a change here splits every group of errors that is stored. Pure text work.
"""

from __future__ import annotations

import re
from hashlib import sha1
from itertools import islice
from typing import Literal

from cascade_flow.model.events import ErrorFingerprints, StepError

GroupingStrategy = Literal["exact", "normalized", "portable"]

TOP_FRAMES = 3

_KNOWN_FOLDERS = ("node_modules", "packages", "src", "dist")
_PYTHON_FOLDERS = ("site-packages", *_KNOWN_FOLDERS)

_PYTHON_FRAME = re.compile(r'^[\s|+]*(File "[^"\n]+", line [0-9]+, in .+?)\s*$', re.MULTILINE)
_PYTHON_BLOCK = "Traceback (most recent call last):"


def compute_error_fingerprints(error: StepError) -> ErrorFingerprints:
    """The five hashes of an error."""
    frames = _top_frames(error.stack or "")
    return ErrorFingerprints(
        name_hash=_hashed(error.name or "Error"),
        message_hash=_hashed(error.message),
        stack_exact_hash=_hashed(frames),
        stack_normalized_hash=_hashed(_without_line_numbers(frames)),
        stack_portable_hash=_hashed(_with_relative_paths(frames)),
    )


def compose_fingerprint(fingerprints: ErrorFingerprints, strategy: GroupingStrategy) -> str:
    """The one text that errors of a kind share: name, message and stack hash, joined by colons."""
    stack_hashes = {
        "exact": fingerprints.stack_exact_hash,
        "normalized": fingerprints.stack_normalized_hash,
        "portable": fingerprints.stack_portable_hash,
    }
    return f"{fingerprints.name_hash}:{fingerprints.message_hash}:{stack_hashes[strategy]}"


def _top_frames(stack: str) -> str:
    return "\n".join(_python_frames(stack) or _javascript_frames(stack))


def _javascript_frames(stack: str) -> list[str]:
    lines = (line.strip() for line in stack.split("\n"))
    return list(islice((line for line in lines if line.startswith("at ")), TOP_FRAMES))


def _python_frames(stack: str) -> list[str]:
    """Innermost first. Of chained errors the last one counts: it is the one that was raised."""
    frames = _PYTHON_FRAME.findall(stack.rpartition(_PYTHON_BLOCK)[2])
    return list(reversed(frames[-TOP_FRAMES:]))


def _without_line_numbers(frames: str) -> str:
    frames = re.sub(r":[0-9]+:[0-9]+\)", ")", frames)
    frames = re.sub(r":[0-9]+\)", ")", frames)
    return re.sub(r'(?m)^(File "[^"\n]+"), line [0-9]+', r"\1", frames)


def _with_relative_paths(frames: str) -> str:
    frames = re.sub(r"\([A-Za-z]:[\\/][^)]+[\\/]", "(", frames)
    for folder in _KNOWN_FOLDERS:
        frames = re.sub(rf"\(/[^)]+/{folder}/", f"({folder}/", frames)
    frames = re.sub(r"\(/[^)]+/", "(", frames)
    return re.sub(r'(?m)^File "([^"\n]+)"', lambda frame: f'File "{_relative(frame[1])}"', frames)


def _relative(path: str) -> str:
    """A path from its last known folder on, else its file's name; a path that isn't absolute stays as it is."""
    parts = re.split(r"[\\/]", path)
    if not re.match(r"[\\/]|[A-Za-z]:[\\/]", path):
        return path
    known = next((at for at in range(len(parts) - 2, -1, -1) if parts[at] in _PYTHON_FOLDERS), len(parts) - 1)
    return "/".join(parts[known:])


def _hashed(text: str) -> str:
    return sha1(text.encode(), usedforsecurity=False).hexdigest()
