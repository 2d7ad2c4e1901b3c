"""Writes docs/openapi.json: `make docs`."""

from __future__ import annotations

import json
from pathlib import Path

from infra.written import ROOT
from reference.document import document


def documents() -> dict[Path, str]:
    """What is generated, by where it is kept."""
    return {ROOT / "docs" / "openapi.json": json.dumps(document(), indent=1, ensure_ascii=False) + "\n"}


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
