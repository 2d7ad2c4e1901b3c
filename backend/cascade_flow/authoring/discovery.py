"""Finding the workflows of a package: every module of it is imported, every `Workflow` in them is checked.

User code runs here, at import: whatever it raises is a mistake of its module, and the other modules are looked at too.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from types import ModuleType

from cascade_flow.authoring.mistakes import Mistake, Mistakes, Place, definition_error, mistakes_of
from cascade_flow.authoring.workflow import Workflow
from cascade_flow.errors import ConfigurationError, DefinitionError
from cascade_flow.records import dataclass


@dataclass
class Survey:
    """What a package declares, by slug, and what is wrong with it."""

    workflows: dict[str, Workflow] = field(default_factory=dict)
    unimported: list[Mistake] = field(default_factory=list)
    misdeclared: list[Mistake] = field(default_factory=list)
    _causes: set[tuple[Place, str]] = field(default_factory=set)

    @property
    def mistakes(self) -> list[Mistake]:
        return [*self.unimported, *self.misdeclared]

    def note(self, module: str, error: BaseException) -> None:
        """Note why a module can't be imported, unless it is for what another one has told already."""
        place, cause = _place(module, error), _cause(error)
        if place is None or (place, cause) not in self._causes:
            told = f"the module {module!r} can't be imported ({cause}): mend it, or name another package"
            self.unimported.append(Mistake(told, place))
        if place is not None:
            self._causes.add((place, cause))


def discover(package: str) -> dict[str, Workflow]:
    """The workflows of a package (or a single module) and of all its modules, by slug.

    Raises ConfigurationError where a module can't be imported or there is no workflow, DefinitionError where a workflow
    is declared wrongly or two have one slug; either tells every mistake of the package. Schedules are looked at where
    they are registered: a worker needs none of them.
    """
    found = survey(package, schedules=False)
    if found.unimported:
        raise ConfigurationError("\n".join(map(str, found.mistakes)))
    if found.misdeclared:
        raise definition_error(found.misdeclared)
    return found.workflows


def survey(package: str, *, importing: Callable[[str], None] = lambda module: None, schedules: bool = True) -> Survey:
    """Look at all of a package; raises nothing that its code raises. `importing` is told of each module beforehand."""
    found, homes = Survey(), dict[str, str]()
    for module in _modules(package, found, importing):
        for workflow in _workflows(module):
            known = found.workflows.setdefault(workflow.slug, workflow)
            home = homes.setdefault(workflow.slug, module.__name__)
            if known is not workflow:
                told = f"workflow {workflow.slug!r} is declared in {home} and again in {module.__name__}: rename one"
                found.misdeclared.append(Mistake(told, workflow.place))
    found.workflows = dict(sorted(found.workflows.items()))
    for workflow in found.workflows.values():
        found.misdeclared += _misdeclared(workflow, schedules=schedules)
    if not found.misdeclared:
        found.misdeclared += _misspelt_runs(found.workflows)
    if not found.workflows and not found.mistakes:
        told = f"the package {package!r} declares no workflow: add workflow = Workflow(...) to it"
        found.unimported.append(Mistake(told))
    return found


def _modules(name: str, found: Survey, importing: Callable[[str], None]) -> Iterator[ModuleType]:
    importing(name)
    module = _imported(name, found)
    if module is None:
        return
    yield module
    for info in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if info.name != "__main__":
            yield from _modules(f"{name}.{info.name}", found, importing)


def _imported(name: str, found: Survey) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except DefinitionError as error:
        found.misdeclared += [each for each in mistakes_of(error) if each not in found.misdeclared]
    except BaseException as error:  # noqa: BLE001  user code may raise anything, sys.exit included
        found.note(name, error)
    return None


def _workflows(module: ModuleType) -> Iterator[Workflow]:
    seen = [value for value in vars(module).values() if isinstance(value, Workflow)]
    yield from dict.fromkeys(seen)


def _misdeclared(workflow: Workflow, *, schedules: bool) -> list[Mistake]:
    mistakes = Mistakes()
    with mistakes.noted():
        try:
            if schedules:
                workflow.registration()
            else:
                workflow.definition().registration()
        except DefinitionError:
            raise
        except Exception as error:
            told = f"workflow {workflow.slug!r} can't be registered ({_cause(error)}): mend its types"
            raise definition_error([Mistake(told, workflow.place)]) from error
    return mistakes.found


def _misspelt_runs(workflows: Mapping[str, Workflow]) -> Iterator[Mistake]:
    """Sub-workflows whose slug no workflow of the package has, but one nearly: others may be of another package."""
    for slug, workflow in workflows.items():
        for step in workflow.definition().steps.values():
            children = step.definition.children
            meant = None if children is None else children.workflow
            if meant is None or meant in workflows:
                continue
            from difflib import get_close_matches  # noqa: PLC0415  (only a mistake needs it)

            for near in get_close_matches(meant, workflows, n=1):
                told = f"it runs {meant!r}, which is no workflow of this package: did you mean {near!r}?"
                yield Mistake(f"workflow {slug!r}, sub-workflow {step.id!r}: {told}", step.declared.place)


def _cause(error: BaseException) -> str:
    """The error in a line or two, whatever its text does."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return "".join(traceback.format_exception_only(error)).strip()


def _place(module: str, error: BaseException) -> Place | None:
    """The line of the user's code that the error came from: the innermost one of the same package."""
    if isinstance(error, SyntaxError) and isinstance(error.filename, str) and isinstance(error.lineno, int):
        return Place(error.filename, error.lineno)
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [Place(file, line) for file, line in frames if any(file.startswith(home) for home in _homes(module))]
    return own[-1] if own else None


def _homes(module: str) -> list[str]:
    """Where the outermost package of a module lies."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    return [f"{place}{os.sep}" for place in spec.submodule_search_locations or ()] or [str(spec.origin)]
