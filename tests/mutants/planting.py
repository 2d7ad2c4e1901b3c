"""Plants a mutant in this process: whoever imports its module from now on gets the mistaken source."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Any

from mutants.mutant import Mutant


class _MistakenSource(SourceFileLoader):
    """Loads one module from a text in memory, and keeps no bytecode of it."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module, str(mutant.path))
        self._source = mutant.planted().encode()

    def get_data(self, path: str) -> bytes:
        return self._source

    def path_stats(self, path: str) -> Any:
        raise OSError("nothing of this is cached")


class _Planter(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        return spec_from_file_location(fullname, self._mutant.path, loader=_MistakenSource(self._mutant))


def plant(mutant: Mutant) -> None:
    """Plant it; the product must not be imported yet."""
    assert mutant.module not in sys.modules, "too late: the module is imported already"
    sys.meta_path.insert(0, _Planter(mutant))
