"""Writes docs/openapi.json, and docs/api.html, which shows it: `make openapi`."""

from __future__ import annotations

import json
from pathlib import Path

from infra.written import ROOT
from reference.document import document
from reference.page import page


def documents() -> dict[Path, str]:
    """What is generated, by where it is kept."""
    told = document()
    return {
        ROOT / "docs" / "openapi.json": json.dumps(told, indent=1, ensure_ascii=False) + "\n",
        ROOT / "docs" / "api.html": page(told),
    }


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
