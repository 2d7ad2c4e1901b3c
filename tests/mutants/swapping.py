"""Plants a mutant in a process that has imported the product: its functions are given other code where they stand."""

from __future__ import annotations

import ast
import gc
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType, FunctionType

from mutants.mutant import Mutant

Path = tuple[tuple[str, int], ...]


class NotSwappable(Exception):
    """The mistake is not inside a function, but acts when the module is imported; or its function takes other variables
    from around it than it was given.
    """


Functions = Mapping[str, Sequence[FunctionType]]
"""All functions of this process, by the file that their code is from."""


def functions() -> Functions:
    """Also those that were frozen, as pytest's part of the testbed does: the collector shows no frozen object."""
    gc.unfreeze()
    found: dict[str, list[FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        if type(each) is FunctionType:
            found[each.__code__.co_filename].append(each)
    return found


def swap(mutant: Mutant, among: Functions) -> None:
    """Give every function of the mutant's module the code that it has in the planted source; raises NotSwappable."""
    whole = swaps(mutant)
    for function in among[str(mutant.path)]:
        try:
            function.__code__ = whole.get(function.__code__, function.__code__)
        except ValueError as error:
            raise NotSwappable(f"{mutant.name}: {error}") from error


def swaps(mutant: Mutant) -> Mapping[CodeType, CodeType]:
    """Which code takes which one's place; raises NotSwappable."""
    old, new = (dict(_codes(_compiled(tree, mutant))) for tree in (mutant.sound_tree(), mutant.tree()))
    changed = {path: code for path, code in new.items() if path not in old or _own(code) != _own(old[path])}
    if any(not path or not _is_function(code) for path, code in changed.items()):
        raise NotSwappable(mutant.name)
    return {old[path]: new[path] for path in new if path in old and any(path == c[: len(path)] for c in changed)}


def _compiled(tree: ast.Module, mutant: Mutant) -> CodeType:
    return compile(tree, str(mutant.path), "exec", dont_inherit=True)


def _codes(code: CodeType, path: Path = ()) -> Iterator[tuple[Path, CodeType]]:
    """A module's code and all code within, by the names that lead there."""
    yield path, code
    times: Counter[str] = Counter()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            times[constant.co_name] += 1
            yield from _codes(constant, (*path, (constant.co_name, times[constant.co_name])))


def _own(code: CodeType) -> tuple[object, ...]:
    """What a piece of code is, but for the code within it."""
    plain = tuple((type(each), each) for each in code.co_consts if not isinstance(each, CodeType))
    return code.co_code, plain, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars


def _is_function(code: CodeType) -> bool:
    return bool(code.co_flags & 0x02)
