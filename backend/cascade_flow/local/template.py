"""The template as text: what it takes, where it says that code lies, and the same with other addresses. All else stays
as written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_PLACE_OF_CODE = re.compile(r"\b(CodeUri|ContentUri): ([^,}\n]+)")
_PARAMETERS = re.compile(r"^Parameters:\n((?:(?:[ #].*)?\n)*)", re.MULTILINE)
_PARAMETER = re.compile(r"^  (\w+):", re.MULTILINE)


def parameters(template: Path) -> list[str]:
    """The names of what it takes."""
    written = _PARAMETERS.search(_text(template))
    return _PARAMETER.findall(written[1]) if written else []


def places_of_code(template: Path) -> list[str]:
    """What each CodeUri and ContentUri holds, once, as it is written."""
    return sorted({match[2].strip() for match in _PLACE_OF_CODE.finditer(_text(template))})


def with_code_at(template: Path, address: Mapping[str, str]) -> str:
    """The template with another address for each of these places."""
    return _PLACE_OF_CODE.sub(lambda match: f"{match[1]}: {address[match[2].strip()]}", _text(template))


def _text(template: Path) -> str:
    return template.read_text(encoding="utf-8")
