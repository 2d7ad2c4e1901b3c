"""A package's workflows are found in all its modules; what can't be imported or is declared twice is named."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from cascade_flow.authoring import discover
from cascade_flow.authoring.discovery import survey
from cascade_flow.errors import ConfigurationError, DefinitionError

FLOW = """
from cascade_flow.authoring import Workflow
flow = Workflow({slug!r})
@flow.step
def work() -> int:
    return 1
"""


class Package:
    """A package named `shop` in a folder of its own, which grows module by module."""

    def __init__(self, root: Path) -> None:
        self.root = root / "shop"
        self.root.mkdir()
        self.write("__init__", "")

    def write(self, module: str, text: str) -> None:
        path = self.root.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))

    def flow(self, module: str, slug: str) -> None:
        self.write(module, FLOW.format(slug=slug))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    monkeypatch.syspath_prepend(tmp_path)
    yield Package(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
        del sys.modules[name]


def test_workflows_of_all_modules_are_found_by_slug(shop: Package) -> None:
    shop.flow("orders", "orders")
    shop.flow("deep.bills", "bills")
    shop.write("deep.__init__", "from shop.orders import flow")
    shop.write("__main__", "raise SystemExit('not a module to import')")
    assert list(discover("shop")) == ["bills", "orders"]


def test_a_single_module_will_do(shop: Package) -> None:
    shop.flow("orders", "orders")
    assert list(discover("shop.orders")) == ["orders"]


def test_two_workflows_with_one_slug_are_refused(shop: Package) -> None:
    shop.flow("a", "orders")
    shop.flow("b", "orders")
    with pytest.raises(DefinitionError, match=r"'orders' is declared in shop\.a and again in shop\.b"):
        discover("shop")


def test_a_module_that_can_not_be_imported_is_named_with_the_cause(shop: Package) -> None:
    shop.write("broken", "import no_such_thing")
    with pytest.raises(ConfigurationError, match=r"'shop\.broken' can't be imported \(ModuleNotFoundError: No module"):
        discover("shop")


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'no_such_package' can't be imported"):
        discover("no_such_package")


def test_a_package_without_workflows_is_refused(shop: Package) -> None:
    with pytest.raises(ConfigurationError, match="declares no workflow"):
        discover("shop")


def test_a_workflow_declared_wrongly_is_found(shop: Package) -> None:
    shop.write("w", FLOW.format(slug="w") + "@flow.step\ndef other(wrok): ...\n")
    with pytest.raises(DefinitionError, match="did you mean 'work'"):
        discover("shop")


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import sys\nsys.exit()", "SystemExit"),
        ("import sys\nsys.exit('no card service')", "SystemExit: no card service"),
        ("\nraise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class End(BaseException): ...\nraise End('over')", r"shop\.broken\.End: over"),
        ("\nraise BaseExceptionGroup('two', [ValueError(1), SystemExit(2)])", "BaseExceptionGroup: two"),
        ("\ndef f(:", "SyntaxError: invalid syntax"),
        ("def f():\nreturn", "IndentationError: expected an indented block"),
        ("import json\njson.loads('{')", "json.decoder.JSONDecodeError: Expecting property name"),
        ("class Bad(Exception):\n    __str__ = None\nraise Bad", r"shop\.broken\.Bad: <exception str\(\) failed>"),
        ("\nraise SyntaxError(3)", "SyntaxError: 3"),
    ],
)
def test_whatever_a_module_raises_is_told_with_its_line(shop: Package, code: str, cause: str) -> None:
    shop.flow("fine", "fine")
    shop.write("broken", code)
    with pytest.raises(ConfigurationError, match=cause) as caught:
        discover("shop")
    assert str(caught.value).startswith(f"{shop.root / 'broken.py'}:{len(code.splitlines())}: the module 'shop.broken'")


def test_all_mistakes_of_a_package_are_told_at_once(shop: Package) -> None:
    shop.write("a", "import shop.b")
    shop.write("b", "1 / 0")
    shop.write("c", "import no_such_thing")
    shop.write("d", FLOW.format(slug="d") + "@flow.step\ndef other(wrok): ...\n")
    shop.write("e", FLOW.format(slug="two words"))
    shop.write("f", FLOW.format(slug="f") + "@flow.step(timeout=0)\ndef other(): ...\n")
    shop.flow("g", "f")
    found = survey("shop")
    assert [(each.place and Path(each.place.file).stem, each.place and each.place.line) for each in found.mistakes] == [
        ("b", 1),
        ("c", 1),
        ("e", 3),
        ("g", 3),
        ("d", 7),
        ("f", 7),
    ]
    with pytest.raises(ConfigurationError) as caught:
        discover("shop")
    assert len(str(caught.value).splitlines()) == 6


def test_a_type_that_ends_in_another_error_is_a_mistake_of_its_workflow(shop: Package) -> None:
    code = "class Bad:\n    def __get_pydantic_core_schema__(*_): 1 / 0\n@flow.step\ndef other() -> Bad: ...\n"
    shop.write("w", FLOW.format(slug="w") + code)
    with pytest.raises(DefinitionError, match=r"workflow 'w' can't be registered \(ZeroDivisionError"):
        discover("shop")


def test_a_sub_workflow_that_looks_like_one_of_the_package_is_misspelt(shop: Package) -> None:
    shop.flow("bills", "refunds")
    shop.write("orders", FLOW.format(slug="orders") + "flow.run('refund')\n")
    with pytest.raises(DefinitionError, match=r"it runs 'refund', which is no workflow of this package.*'refunds'"):
        discover("shop")


def test_a_sub_workflow_may_be_of_another_package(shop: Package) -> None:
    shop.write("orders", FLOW.format(slug="orders") + "flow.run('taxes')\n")
    assert list(discover("shop")) == ["orders"]
