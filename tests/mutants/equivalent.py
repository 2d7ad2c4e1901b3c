"""Mutants by rule that no test can tell from the product, by module and change; and why."""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str], str] = {}
