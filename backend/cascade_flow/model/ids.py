"""What an id may look like. Every id from outside passes here once, at the door; further in, nobody checks again.

The alphabet keeps ids apart from the separators of keys (`#`, `$`, `/` between the parts of a step id), so that no
id can reach another's items. Nothing about keys themselves belongs here.
"""

import re

from cascade_flow.errors import InvalidIdError

LONGEST_ID = 256
LONGEST_CHILD_ID = 640
"""Of a run that does a step's work: a key of the table, which may hold it with a step's id, has 1,024 characters."""
DEEPEST = 8
"""How deep runs may lie within runs."""

PART = "[A-Za-z0-9][A-Za-z0-9_.-]*"
"""An id, or what stands between the slashes of a step's."""

CHILD_MARK = "~"
"""Joins a child's id; neither it nor what stands for `/` in it may be in any id that somebody chooses."""
_SLASH = ":"
_PART = re.compile(PART)
RUN = rf"{PART}(~{PART}(:{PART})*~[0-9]+)*"
"""A run's id: somebody's choice, or that of a child at whatever depth."""
_RUN = re.compile(RUN)
_ALLOWED = f"letters, digits, '_', '.' and '-', beginning with a letter or digit, at most {LONGEST_ID} characters"


def check_slug(slug: str) -> str:
    """The workflow slug as given. InvalidIdError where it isn't one."""
    return _checked("workflow slug", slug, [slug], _ALLOWED)


def check_run_id(run_id: str) -> str:
    """The run id as given, which may be a child's. InvalidIdError where it isn't one."""
    is_child = isinstance(run_id, str) and CHILD_MARK in run_id and len(run_id) <= LONGEST_CHILD_ID
    return run_id if is_child and _RUN.fullmatch(run_id) else check_new_run_id(run_id)


def check_new_run_id(run_id: str) -> str:
    """The id as given that somebody has chosen for a run. InvalidIdError where it isn't one."""
    return _checked("run id", run_id, [run_id], _ALLOWED)


def child_id(parent: str, step_id: str, number: int) -> str:
    """The id of the run that does a part of a step's work."""
    return f"{parent}{CHILD_MARK}{step_id.replace('/', _SLASH)}{CHILD_MARK}{number}"


def up_of(run_id: str) -> tuple[str, str, int] | None:
    """The parent, its step and the number of a child; None of a run that is nobody's child."""
    if CHILD_MARK not in run_id:
        return None
    parent, step, number = run_id.rsplit(CHILD_MARK, 2)
    return parent, step.replace(_SLASH, "/"), int(number)


def depth_of(run_id: str) -> int:
    """How many runs a run lies within."""
    return run_id.count(CHILD_MARK) // 2


def check_step_id(step_id: str) -> str:
    """The step id as given; its parts stand between `/`. InvalidIdError where it isn't one."""
    parts = step_id.split("/") if isinstance(step_id, str) else []
    return _checked("step id", step_id, parts, f"parts between '/', each of {_ALLOWED} in all")


def check_pool(name: str) -> str:
    """The pool's name as given. InvalidIdError where it isn't one."""
    return _checked("pool", name, [name], _ALLOWED)


def check_limit(name: str) -> str:
    """The limit's name as given. InvalidIdError where it isn't one."""
    return _checked("limit", name, [name], _ALLOWED)


def check_schedule(name: str) -> str:
    """The schedule's name as given. InvalidIdError where it isn't one."""
    return _checked("schedule name", name, [name], _ALLOWED)


def check_name(field: str, name: str) -> str:
    """The name that somebody else chose (a worker's, a key, a version's) as given. InvalidIdError where it is none."""
    if isinstance(name, str) and 1 <= len(name) <= LONGEST_ID:
        return name
    allowed = f"1 to {LONGEST_ID} characters"
    raise InvalidIdError(f"{_shown(name)} is no {field.replace('_', ' ')}: it may hold {allowed}.", field=field)


def _checked(field: str, value: str, parts: list[str], allowed: str) -> str:
    fits = isinstance(value, str) and len(value) <= LONGEST_ID
    if fits and all(_PART.fullmatch(part) for part in parts):
        return value
    raise InvalidIdError(f"{_shown(value)} is no {field}: it may hold {allowed}.", field=field, value=value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
