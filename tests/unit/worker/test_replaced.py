"""What is replaced of the process while attempts run, by what, and what an end of the process comes to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Any, NoReturn

import pytest

from cascade_flow.worker import replaced
from cascade_flow.worker.descriptors import Outlets
from cascade_flow.worker.interrupt import Interrupted
from cascade_flow.worker.replaced import Replaced


class Ended(BaseException):
    """The process would be over."""


class Process:
    """What is done to this process, of which nothing is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[Any] = []
        self.refuses = False
        self._replaced: list[Replaced] = []
        monkeypatch.setattr(Outlets, "divert", lambda _, number, __, streams: self._do(number, streams))
        monkeypatch.setattr(replaced, "EmptyInput", lambda: self._do("input"))
        monkeypatch.setattr(os, "_exit", self._end)
        monkeypatch.setattr(os, "abort", self._end)

    def _do(self, *what: Any) -> None:
        if self.refuses:
            raise OSError("there is no such descriptor")
        self.done.append(what)

    def _end(self, *args: Any) -> NoReturn:
        self.done.append(args)
        raise Ended

    def replace(self, **options: Any) -> Replaced:
        new = Replaced.now(lambda: None, lambda *_: True, lambda words: self.done.append(words), **options)
        self._replaced.append(new)
        return new

    def put_back(self) -> None:
        """Again, and also where a test has not come to it."""
        for new in reversed(self._replaced):
            new.put_back()


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    process = Process(monkeypatch)
    yield process
    process.put_back()


def test_each_output_leads_to_where_its_stream_and_the_first_of_the_process_lead(process: Process) -> None:
    streams = [(sys.stdout, sys.__stdout__), (sys.stderr, sys.__stderr__)]
    new = process.replace()
    replacing, empty = (sys.stdout, sys.stderr), sys.stdin.read()
    new.put_back()
    assert process.done == [(1, list(streams[0])), (2, list(streams[1])), ("input",)]
    assert replacing == (new.streams["stdout"], new.streams["stderr"])
    assert empty == ""
    assert [stream.fileno() for stream in replacing] == [1, 2]


@pytest.mark.parametrize("refuses", [True, False])
def test_without_descriptors_the_streams_alone_are_replaced(process: Process, refuses: bool) -> None:
    """The process has none, or keeps its own."""
    process.refuses, before = refuses, (sys.stdout, sys.stderr, sys.stdin)
    new = process.replace(streams_only=not refuses)
    now = (sys.stdout, sys.stderr, sys.stdin)
    new.put_back()
    assert process.done == []
    assert now[:2] == (new.streams["stdout"], new.streams["stderr"])
    assert (now[2] is before[2]) != refuses
    assert (sys.stdout, sys.stderr, sys.stdin) == before


@pytest.mark.parametrize(("refuses", "streams_only"), [(True, False), (False, True), (True, True)])
def test_a_stream_whose_descriptor_leads_where_it_did_has_the_number_of_the_one_that_it_replaces(
    process: Process, monkeypatch: pytest.MonkeyPatch, refuses: bool, streams_only: bool
) -> None:
    process.refuses = refuses
    with TemporaryFile("w") as out, TemporaryFile("w") as err:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            process.replace(streams_only=streams_only)
            try:
                numbers = [sys.stdout.fileno(), sys.stderr.fileno()]
            finally:
                process.put_back()
        assert numbers == [out.fileno(), err.fileno()]


@pytest.mark.parametrize(("streams_only", "end"), [(True, Interrupted), (False, Ended)])
def test_an_end_of_the_process_is_told_first_and_ends_the_code_alone_where_that_is_not_the_workers(
    process: Process, streams_only: bool, end: type[BaseException]
) -> None:
    process.replace(streams_only=streams_only)
    del process.done[:]
    with pytest.raises(end):
        os._exit(3)
    with pytest.raises(end):
        os.abort()
    ended = [[], []] if streams_only else [[(3,)], [()]]
    words = ["the step ended its process with os._exit(3)", "the step ended its process with os.abort()"]
    assert process.done == [words[0], *ended[0], words[1], *ended[1]]
