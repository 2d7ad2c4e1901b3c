"""Mistakes of a declaration, gathered so that all of them are told at once, each with the place where it was made."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from cascade_flow.errors import DefinitionError
from cascade_flow.records import dataclass, replace

T = TypeVar("T")

_FRAMEWORK = str(Path(__file__).parent)


@dataclass(frozen=True)
class Place:
    """A line of a file."""

    file: str
    line: int

    @classmethod
    def of_caller(cls) -> Place:
        """The line outside of this room that is being run."""
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(_FRAMEWORK):
            frame = frame.f_back
        return cls(frame.f_code.co_filename, frame.f_lineno)


@dataclass(frozen=True)
class Mistake:
    """What is wrong, and where it was written; an issue of a DefinitionError."""

    message: str
    place: Place | None = None

    @property
    def path(self) -> str:
        return f"{self.place.file}:{self.place.line}" if self.place else ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.place else self.message

    def within(self, whole: str, place: Place | None) -> Mistake:
        """This mistake, as one of a part of something larger; a place that is known already is nearer."""
        return replace(self, message=f"{whole}: {self.message}", place=self.place or place)


class Mistakes:
    """Those that were found so far."""

    def __init__(self) -> None:
        self.found: list[Mistake] = []

    @contextmanager
    def noted(self, whole: str | None = None, place: Place | None = None) -> Iterator[None]:
        """Note what a DefinitionError inside says, of this part of the whole, and go on."""
        try:
            yield
        except DefinitionError as error:
            self.found += [each.within(whole, place) if whole else each for each in mistakes_of(error)]

    def kept(self, read: Callable[[], T], otherwise: T) -> T:
        """What is read; where that is a mistake, it is noted, and what is given stands in for it."""
        with self.noted():
            return read()
        return otherwise

    def check(self) -> None:
        """Raise one DefinitionError that tells all that was found."""
        if self.found:
            raise definition_error(self.found)


def mistakes_of(error: DefinitionError) -> list[Mistake]:
    """The mistakes that an error tells of: at least one."""
    told = [issue for issue in error.issues if isinstance(issue, Mistake)]
    return told or [Mistake(str(error))]


def definition_error(mistakes: Iterable[Mistake]) -> DefinitionError:
    """One error for all of them, a line for each."""
    told = list(dict.fromkeys(mistakes))
    return DefinitionError("\n".join(each.message for each in told), issues=told)


def placed(whole: str, error: DefinitionError, place: Place | None = None) -> DefinitionError:
    """The same error, saying of what it is, and where that was written."""
    return definition_error(each.within(whole, place) for each in mistakes_of(error))


def shown(value: object) -> str:
    """What was given, for a message; whatever its representation does."""
    try:
        return _short.repr(value)
    except ValueError:  # an int of thousands of digits
        return f"a very large {type(value).__name__}"


_short = reprlib.Repr()
_short.maxother = _short.maxstring = _short.maxlong = 100
