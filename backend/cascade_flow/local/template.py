"""The template as text: where it says that code lies, and the same with other addresses. All else stays as written."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cascade_flow.local.project import Project

_PLACE_OF_CODE = re.compile(r"\b(CodeUri|ContentUri): ([^,}\n]+)")


def places_of_code(project: Project) -> list[str]:
    """What each CodeUri and ContentUri holds, once, as it is written."""
    return sorted({match[2].strip() for match in _PLACE_OF_CODE.finditer(_text(project))})


def with_code_at(project: Project, address: Mapping[str, str]) -> str:
    """The template with another address for each of these places."""
    return _PLACE_OF_CODE.sub(lambda match: f"{match[1]}: {address[match[2].strip()]}", _text(project))


def _text(project: Project) -> str:
    return project.template.read_text(encoding="utf-8")
