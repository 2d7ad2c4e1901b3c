"""What a map's results are to the step that takes them: all at once as a list, or `Results`, one at a time."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar, get_args, overload

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import core_schema

T_co = TypeVar("T_co", covariant=True)

FAILED = "$failed"
"""By this key what stands in the place of a failed item's result is told from a result."""


class ItemError(BaseModel):
    """Why an item failed."""

    model_config = ConfigDict(frozen=True)

    name: str | None = None
    message: str | None = None

    def __str__(self) -> str:
        return ": ".join(part for part in (self.name, self.message) if part) or "an error without words"


class ItemFailed(BaseModel):
    """Stands in the place of an item's result where the item failed and its map tolerates that.

    `index` is the item's: with a parameter for what the map went over, `lines[failed.index]` is the item itself.
    """

    model_config = ConfigDict(frozen=True)

    index: int
    error: ItemError = ItemError()
    run_id: str | None = None

    def __str__(self) -> str:
        return f"item {self.index}: {self.error}"

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, value: Any, read: ModelWrapValidatorHandler[ItemFailed]) -> ItemFailed:
        return read(value[FAILED] if isinstance(value, dict) and FAILED in value else value)

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {FAILED: write(self)}


class Results(Sequence[T_co], Generic[T_co]):
    """A map's results, in order, each of which is read when it is asked for: for many, or large ones.

        @orders.step
        def total(pack: Results[Packed]) -> int:
            return sum(packed.weight for packed in pack)

    It is read as a list is, in any order and as often as need be, and keeps no result. In a test of a step's function
    `Results.of([...])` makes one.
    """

    is_lazy: ClassVar[bool] = True
    """Tells that a parameter waits to be asked, without importing this."""

    def __init__(self, text: str, load: Callable[[str], T_co]) -> None:
        self._text = text
        self._load = load

    @classmethod
    def of(cls, results: Sequence[T_co]) -> Results[T_co]:
        """Results that are in memory already."""
        return _Held(results)

    def __len__(self) -> int:
        return len(self._places) - 1

    @overload
    def __getitem__(self, index: int) -> T_co: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T_co]: ...

    def __getitem__(self, index: int | slice) -> T_co | Sequence[T_co]:
        if isinstance(index, slice):
            return [self[each] for each in range(len(self))[index]]
        at = range(len(self))[index]
        return self._load(self._text[self._places[at] : self._places[at + 1]].rstrip(" \t\n\r,"))

    def __iter__(self) -> Iterator[T_co]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} results>"

    @cached_property
    def _places(self) -> array[int]:
        """Where in the text each result begins, and where the last one ends."""
        read, text = json.JSONDecoder().raw_decode, self._text
        at, places = _after(text, text.index("[") + 1), array("Q")
        while text[at] != "]":
            places.append(at)
            at = _after(text, read(text, at)[1])
            at = _after(text, at + 1) if text[at] == "," else at
        places.append(at)
        return places

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        """As a list's, whose items are in memory."""
        of = get_args(source)
        listed = core_schema.list_schema(handler.generate_schema(of[0]) if of else core_schema.any_schema())
        written = core_schema.plain_serializer_function_ser_schema(list, return_schema=listed)
        return core_schema.no_info_after_validator_function(cls.of, listed, serialization=written)


class _Held(Results[T_co]):
    """Those that are in memory."""

    def __init__(self, results: Sequence[T_co]) -> None:
        self._results = results

    def __len__(self) -> int:
        return len(self._results)

    def __getitem__(self, index: Any) -> Any:
        return self._results[index]


_INK = re.compile(r"[^ \t\n\r]")


def _after(text: str, at: int) -> int:
    """The place after blanks, where something stands."""
    found = _INK.search(text, at)
    assert found is not None, "a list ends with its bracket"
    return found.start()
