"""What an id may look like. Every id from outside passes here once, at the door; further in, nobody checks again.

The alphabet keeps ids apart from the separators of keys (`#`, `$`, `/` between the parts of a step id), so that no
id can reach another's items. Nothing about keys themselves belongs here.
"""

import re

from cascade_flow.errors import InvalidIdError

LONGEST_ID = 256

PART = "[A-Za-z0-9][A-Za-z0-9_.-]*"
"""An id, or what stands between the slashes of a step's."""

_PART = re.compile(PART)
_ALLOWED = f"letters, digits, '_', '.' and '-', beginning with a letter or digit, at most {LONGEST_ID} characters"


def check_slug(slug: str) -> str:
    """The workflow slug as given. InvalidIdError where it isn't one."""
    return _checked("workflow slug", slug, [slug], _ALLOWED)


def check_run_id(run_id: str) -> str:
    """The run id as given. InvalidIdError where it isn't one."""
    return _checked("run id", run_id, [run_id], _ALLOWED)


def check_step_id(step_id: str) -> str:
    """The step id as given; its parts stand between `/`. InvalidIdError where it isn't one."""
    parts = step_id.split("/") if isinstance(step_id, str) else []
    return _checked("step id", step_id, parts, f"parts between '/', each of {_ALLOWED} in all")


def check_pool(name: str) -> str:
    """The pool's name as given. InvalidIdError where it isn't one."""
    return _checked("pool", name, [name], _ALLOWED)


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
