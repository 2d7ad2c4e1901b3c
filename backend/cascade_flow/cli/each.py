"""`run --each`: a run for each line of a file, and what became of each of them.

A row that says no key gets one that is made of the file's name (or what `--key` says), the workflow and the line
itself, so whoever sends the same file again submits no run twice, and may mend, move or remove other lines meanwhile.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import typer
from rich.text import Text

from cascade_flow.cli import exits, formatting, tables
from cascade_flow.cli.target import Target
from cascade_flow.errors import CascadeFlowError, IssuesError, PayloadTooLargeError

if TYPE_CHECKING:
    from cascade_flow.client import Client, Json

_MOST_SHOWN = 20
_STDIN = "-"


class Source(NamedTuple):
    """Where the lines come from: a file's name or `-`, under which name keys are made of them."""

    given: str
    name: str

    @classmethod
    def of(cls, given: str, key: str | None) -> Source:
        """BadParameter where there is no such file, or nothing to make keys of."""
        shown = formatting.shortened(given, 60)
        if given != _STDIN and (not Path(given).exists() or Path(given).is_dir()):
            raise typer.BadParameter(
                f"there is no file {shown!r}: name one with a JSON object on each line", param_hint="--each"
            )
        if key is None and not Path(given).is_file():
            whence = "stdin" if given == _STDIN else "a pipe"
            said = (
                f"what comes from {whence} has no name: give one with --key, so that sending it again doubles nothing"
            )
            raise typer.BadParameter(said, param_hint="--each")
        return cls(given, key or str(Path(given).resolve()))

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        if self.given == _STDIN:
            yield sys.stdin.buffer
            return
        with Path(self.given).open("rb") as file:
            yield file

    def length(self) -> int | None:
        """How many rows there are, where that can be known before."""
        if not Path(self.given).is_file():
            return None
        with self.opened() as lines:
            return sum(1 for line in lines if line.strip())


class Rows:
    """The rows in a file's lines, in the words of the API; and what became of each, by its line."""

    def __init__(self, workflow: str, source: Source, usual: Mapping[str, Any]) -> None:
        self.told: list[Json] = []
        self._workflow, self._source = workflow, source
        self._usual = {name: value for name, value in usual.items() if value is not None}
        self._sent: deque[int] = deque()
        self._seen: Counter[bytes] = Counter()

    def read(self, lines: Iterable[bytes]) -> Iterator[Json]:
        """Each row that can be sent; of the others it is told at once why not."""
        for number, line in enumerate(lines, 1):
            if text := line.strip():
                row = self._row(number, text)
                if row is not None:
                    self._sent.append(number)
                    yield row

    def answered(self, answer: Json) -> None:
        """What became of the next row that was sent."""
        self.told.append({"line": self._sent.popleft(), **answer})

    def _row(self, number: int, text: bytes) -> Json | None:
        from cascade_flow.api import batch_answers, documents  # noqa: PLC0415  (most commands read no JSON)

        try:
            row = documents.read_document(text, called="the line")
            if not isinstance(row, dict):
                raise documents.rejected('the line is no JSON object: write {"input": ...}, and what else it says')
        except (IssuesError, PayloadTooLargeError) as error:
            self.told.append({"line": number, "outcome": "refused", "problem": batch_answers.problem_of_one(error)})
            return None
        return {**self._usual, "idempotencyKey": self._key(text), **row}

    def _key(self, text: bytes) -> str:
        """Of the same line that stands several times each has a key of its own."""
        self._seen[text] += 1
        parts = (self._workflow, self._source.name, str(self._seen[text]))
        return "each-" + hashlib.sha256("\n".join(parts).encode() + b"\n" + text).hexdigest()[:40]


def submit_each(target: Target, workflow: str, source: Source, usual: Mapping[str, Any]) -> None:
    """Submit a run for each line. Exit where one is refused, or none is certain to be made."""
    rows, length = Rows(workflow, source, usual), source.length()
    with target.client() as client, source.opened() as lines:
        _send(target, client, workflow, rows, lines, "" if length is None else f" of {length:,}")
    told = sorted(rows.told, key=lambda row: int(row["line"]))
    counts = Counter(row["outcome"] for row in told)
    if target.as_json:
        named = {outcome: counts[outcome] for outcome in ("submitted", "known", "refused", "left")}
        target.screen.data({"counts": named, "rows": told})
    else:
        _tell(target, told, counts)
    if counts["refused"] or counts["left"]:
        raise typer.Exit(exits.NOT_AS_PROMISED)


def _send(target: Target, client: Client, workflow: str, rows: Rows, lines: Iterable[bytes], of: str) -> None:
    """Whoever is interrupted hears how far it went, and that the rest can be sent."""
    try:
        with target.screen.busy() as busy:
            for answer in client.submit_rows(workflow, rows.read(lines)):
                rows.answered(answer)
                busy.far(f"{len(rows.told):,}{of} rows sent")
            busy.forget()
    except KeyboardInterrupt:
        _say_how_far(target, rows, of)
        raise typer.Exit(exits.INTERRUPTED) from None
    except CascadeFlowError:
        _say_how_far(target, rows, of)
        raise


def _say_how_far(target: Target, rows: Rows, of: str) -> None:
    far = f"{len(rows.told):,}{of} rows sent"
    target.screen.say(f"{far}; the same command goes on with the rest, and doubles nothing.")


def _tell(target: Target, told: Iterable[Json], counts: Mapping[str, int]) -> None:
    known = f", {counts['known']:,} known already, by their keys" if counts["known"] else ""
    target.screen.show(
        Text.assemble(("✓ ", "green"), f"{formatting.count(counts['submitted'], 'run')} submitted{known}.")
    )
    failed = [row for row in told if row["outcome"] in ("refused", "left")]
    if failed:
        said = f"{formatting.count(len(failed), 'row')} not submitted:"
        kinds = _alike(failed)
        target.screen.show(Text.assemble(("✗ ", "red"), said), tables.rows_refused(kinds[:_MOST_SHOWN]))
        if left := sum(len(rows) for rows in kinds[_MOST_SHOWN:]):
            target.screen.show(Text(f"and {left:,} more: --json names them", "dim"))


def _alike(rows: Iterable[Json]) -> list[list[Json]]:
    """The rows, those together with which the same is wrong."""
    kinds: dict[object, list[Json]] = {}
    for row in rows:
        kinds.setdefault(tables.wrong_with(row), []).append(row)
    return [*kinds.values()]
