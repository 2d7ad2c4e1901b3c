"""Which frames of an error are told, how their files are named, and what is told of one that can't be shown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from traceback import FrameSummary
from typing import Any, NoReturn

import pytest

from cascade_flow.model.events import StepError
from cascade_flow.worker import tracebacks
from cascade_flow.worker.interrupt import Interrupted
from cascade_flow.worker.tracebacks import _as_imported, _folded, _is_ours, _message, _theirs, step_error

HERE = "unit/worker/test_frames.py"
RUNNER, COROUTINES = tracebacks._FIRST
INTERRUPT = tracebacks._LAST
PACKAGE = Path(tracebacks.__file__).parents[1]
OURS = str(PACKAGE / "portions.py")


def told(*files: str) -> list[str]:
    return [frame.filename for frame in _theirs([FrameSummary(file, 1, "f", line="") for file in files])]


@pytest.mark.parametrize(
    ("files", "theirs"),
    [
        ([RUNNER, "a.py", "b.py"], ["a.py", "b.py"]),
        (["test.py", RUNNER, "a.py", RUNNER, "b.py"], ["b.py"]),
        ([RUNNER, COROUTINES, "a.py"], ["a.py"]),
        ([RUNNER, OURS, OURS, "a.py", OURS], ["a.py", OURS]),
        ([RUNNER, "a.py", INTERRUPT, INTERRUPT], ["a.py"]),
        ([RUNNER, INTERRUPT, INTERRUPT], [RUNNER, INTERRUPT, INTERRUPT]),
        ([RUNNER, OURS], [RUNNER, OURS]),
    ],
)
def test_theirs_are_the_frames_between_those_that_lead_there_and_those_that_interrupt(
    files: list[str], theirs: list[str]
) -> None:
    assert told(*files) == theirs


def test_a_stack_begins_with_their_code() -> None:
    error = error_of(lambda: called_from(RUNNER)(lambda: bottom(ValueError("no"))))
    first, *_, last = (step_error(error).stack or "").splitlines()
    assert (first, last) == ("Traceback (most recent call last):", "ValueError: no")
    assert "in error_of" not in (step_error(error).stack or "")
    assert "frames of cascade-flow" not in (step_error(error).stack or "")


def test_where_all_frames_are_ours_they_are_shown() -> None:
    frames = [FrameSummary(OURS, line, "f", line="") for line in (1, 2)]
    assert _folded(frames) == frames


@pytest.mark.parametrize(
    ("file", "is_ours"),
    [(OURS, True), (f"{PACKAGE}_jobs/shop.py", False), (f"/backup{OURS}", False)],
)
def test_ours_is_what_lies_in_our_package(file: str, is_ours: bool) -> None:
    assert _is_ours(FrameSummary(file, 1, "f", line="")) == is_ours


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/opt/python/shop.py", "shop.py"),
        ("/opt/python/python_shop.py", "python_shop.py"),
        ("/opt/python/lib/shop.py", "shop.py"),
        ("/var/task/shop.py", "/var/task/shop.py"),
        ("/opt/python/python/of/a/place/shop.py", "python/of/a/place/shop.py"),
    ],
)
def test_a_file_is_named_by_its_place_under_the_nearest_entry(
    monkeypatch: pytest.MonkeyPatch, file: str, name: str
) -> None:
    monkeypatch.setattr(sys, "path", ["", "/opt/python/", "/opt/python/lib", "/python/of/a/place"])
    assert _as_imported(file) == name


def called_from(file: str) -> Callable[[Callable[[], Any]], Any]:
    """A function that seems to stand in this file, and calls another there, which calls what it is given."""
    names: dict[str, Any] = {}
    exec(compile("def outer(call): inner(call)\ndef inner(call): call()\n", file, "exec"), names)
    found: Callable[[Callable[[], Any]], Any] = names["outer"]
    return found


def bottom(error: BaseException) -> NoReturn:
    raise error


def down(levels: int, error: BaseException, through: Callable[[Callable[[], Any]], Any]) -> None:
    if not levels:
        bottom(error)
    through(lambda: down(levels - 1, error, through))


def error_of(call: Callable[[], Any]) -> BaseException:
    try:
        call()
    except BaseException as error:  # noqa: BLE001
        return error
    pytest.fail("nothing was raised")


def test_frames_of_ours_count_as_one_of_those_that_are_told() -> None:
    error = error_of(lambda: down(30, ValueError("no"), called_from(OURS)))
    stack = step_error(error).stack or ""
    assert stack.count("  ... frames of cascade-flow: 2\n") == tracebacks.MOST_FRAMES // 3 - 1


def test_a_message_of_notes_alone_is_told_whole() -> None:
    error = ValueError()
    error.add_note("its cause: unknown")
    assert _message(error) == "ValueError\nits cause: unknown"


def test_a_message_as_long_as_may_be_is_not_cut() -> None:
    whole = "x" * tracebacks.LONGEST_MESSAGE
    assert step_error(ValueError(whole)).message == whole


def test_halves_of_characters_are_replaced_in_the_stack_too() -> None:
    assert step_error(ValueError("half \ud800")).stack == "ValueError: half \ufffd"


def test_an_error_is_named_by_its_class_wherever_that_is_declared() -> None:
    class Inner(Exception):
        pass

    assert step_error(Inner("no")).name == "Inner"


class Noting(Exception):
    """Its time is over while it is looked at."""

    @property
    def __notes__(self) -> NoReturn:  # type: ignore[override]
        raise Interrupted


def test_an_interrupt_while_an_error_is_told_is_no_failure_of_that() -> None:
    with pytest.raises(Interrupted):
        step_error(Noting())


def refuse(_: object) -> NoReturn:
    raise LookupError


class Sly(type):
    __name__ = property(refuse)  # type: ignore[assignment]


class Odd(Exception, metaclass=Sly):
    """Nothing of it can be asked for."""

    args = property(refuse)  # type: ignore[assignment]
    __traceback__ = property(refuse)  # type: ignore[assignment]
    __notes__ = property(refuse)  # type: ignore[assignment]


def told_of(error: BaseException) -> StepError:
    """What is told of one that pytest couldn't show either."""
    __tracebackhide__ = True
    with suppress(LookupError):
        return step_error(error)
    pytest.fail("it was asked")


def test_of_an_error_that_can_not_be_asked_are_told_its_class_its_arguments_and_its_frames() -> None:
    error = error_of(lambda: called_from(RUNNER)(lambda: down(0, Odd("x", 1), called_from(OURS))))
    found = told_of(error)
    assert found.name == "Odd"
    assert found.message == '["x",1] (it can\'t be shown as Python shows it: that raises LookupError)'
    *places, last = (found.stack or "").splitlines()
    assert all(place.startswith(f'  File "{HERE}", line ') for place in places)
    assert [place.rpartition(", in ")[2] for place in places] == ["<lambda>", "down", "bottom"]
    assert last == "Odd"


def test_what_is_told_of_it_is_bounded_and_nearest_to_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    error = error_of(lambda: down(40, Odd("x" * 5_000), lambda call: call()))
    found = told_of(error)
    assert found.message.startswith('["xxx')
    assert found.message.endswith(" characters)")
    *places, last, name = (found.stack or "").splitlines()
    assert (len(places) + 1, last.endswith(", in bottom"), name) == (tracebacks.MOST_FRAMES, True, "Odd")
    monkeypatch.setattr(tracebacks, "LONGEST_STACK", 20)
    assert (step_error(error).stack or "").startswith("… (")
