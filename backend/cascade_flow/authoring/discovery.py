"""Finding the workflows of a package: every module of it is imported, every `Workflow` in them is checked."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from cascade_flow.authoring.workflow import Workflow
from cascade_flow.errors import CascadeFlowError, ConfigurationError, DefinitionError


def discover(package: str) -> dict[str, Workflow]:
    """The workflows of a package (or a single module) and of all its modules, by slug.

    Raises ConfigurationError where a module can't be imported or there is no workflow, DefinitionError where a workflow
    is declared wrongly or two have one slug.
    """
    found: dict[str, tuple[Workflow, str]] = {}
    for module in _modules(package):
        for workflow in _workflows(module):
            known, where = found.setdefault(workflow.slug, (workflow, module.__name__))
            if known is not workflow:
                raise DefinitionError(
                    f"workflow {workflow.slug!r} is declared in {where} and again in {module.__name__}: rename one"
                )
    if not found:
        raise ConfigurationError(f"the package {package!r} declares no workflow: add workflow = Workflow(...) to it")
    for workflow, _ in found.values():
        workflow.definition()
    return {slug: workflow for slug, (workflow, _) in sorted(found.items())}


def _modules(name: str) -> Iterator[ModuleType]:
    module = _imported(name)
    yield module
    for info in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if info.name != "__main__":
            yield from _modules(f"{name}.{info.name}")


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except CascadeFlowError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"the module {name!r} can't be imported ({type(error).__name__}: {error}): mend it, or name another package"
        ) from error


def _workflows(module: ModuleType) -> Iterator[Workflow]:
    seen = [value for value in vars(module).values() if isinstance(value, Workflow)]
    yield from dict.fromkeys(seen)
