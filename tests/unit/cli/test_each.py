"""A run for each line of a file: what is sent, what becomes of each line, and what the same command doubles not."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cascade_flow.cli import exits
from unit.cli.conftest import Api, Done, problem

Cascade = Callable[..., Done]
ROUTE = "POST /runs/batch"
ROWS = [
    '{"input": {"n": 1}}',
    "",
    '{"input": {"n": 2}, "idempotencyKey": "mine", "tags": ["b"]}',
    '{"input": {"n": 3}}',
]
ISSUE = {"path": "input.n", "message": "is no number"}


def answer(*outcomes: str) -> dict[str, Any]:
    """What became of these; those that are refused have a field that is wrong."""
    told = {"refused": {"problem": {"status": 422, "code": "input-invalid", "detail": "no", "issues": [ISSUE]}}}
    return {"runs": [{"outcome": each, **told.get(each, {"runId": "r"})} for each in outcomes]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(ROWS))
    return path


@pytest.fixture(autouse=True)
def taken(api: Api) -> None:
    api.routes[ROUTE] = (200, answer(*["submitted"] * 3))


def sent(api: Api, at: int = -1) -> list[Any]:
    runs: list[Any] = api.asked[at][1]["runs"]
    return runs


def keys(api: Api, at: int = -1) -> list[str]:
    return [run["idempotencyKey"] for run in sent(api, at)]


def test_each_line_is_a_run_with_what_the_command_says_beside(api: Api, cascade: Cascade, file: Path) -> None:
    done = cascade("run", "mishaps", "--each", str(file), "--tag", "a", "--priority", "5")
    assert (done.status, done.err) == (exits.OK, "")
    assert done.out == "✓ 3 runs submitted.\n"
    assert api.last_body["workflowSlug"] == "mishaps"
    assert [(run["input"], run["tags"], run["priority"]) for run in sent(api)] == [
        ({"n": 1}, ["a"], 5),
        ({"n": 2}, ["b"], 5),
        ({"n": 3}, ["a"], 5),
    ]
    assert keys(api)[1] == "mine"


def test_the_same_line_of_the_same_file_has_the_same_key_wherever_it_stands(
    api: Api, cascade: Cascade, file: Path
) -> None:
    cascade("run", "mishaps", "--each", str(file))
    first = keys(api)
    file.write_text("\n".join(["{}", *ROWS[2:], ROWS[0], ROWS[0]]))
    api.routes[ROUTE] = (200, answer(*["submitted"] * 5))
    cascade("run", "mishaps", "--each", str(file))
    added, *moved, doubled = keys(api)
    assert sorted(moved) == sorted(first)
    assert len({added, doubled, *first}) == 5


@pytest.mark.parametrize("other", ["file", "key", "workflow"])
def test_another_file_workflow_or_name_has_others(api: Api, cascade: Cascade, file: Path, other: str) -> None:
    cascade("run", "mishaps", "--each", str(file))
    twin = file.with_name("twin.jsonl")
    twin.write_text(file.read_text())
    name = str(twin) if other == "file" else str(file)
    more = ["--key", "again"] if other == "key" else []
    cascade("run", "parcels" if other == "workflow" else "mishaps", "--each", name, *more)
    assert set(keys(api, 0)) & set(keys(api)) == {"mine"}


def test_what_comes_from_stdin_is_named_by_the_key(
    api: Api, cascade: Cascade, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def piped() -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
        return cascade("run", "mishaps", "--each", "-", "--key", "monday")

    assert (piped().status, piped().status) == (exits.OK, exits.OK)
    assert keys(api, 0) == keys(api, 1)


def test_what_failed_is_told_by_its_line(api: Api, cascade: Cascade, file: Path) -> None:
    file.write_text("\n".join([*ROWS, "{oops", "[]", '{"input": 1, "input": 2}']))
    api.routes[ROUTE] = (200, answer("known", "refused", "submitted"))
    done = cascade("run", "mishaps", "--each", str(file))
    assert done.status == exits.NOT_AS_PROMISED
    assert "✓ 1 run submitted, 1 known already, by their keys." in done.out
    assert "✗ 4 rows not submitted:" in done.out
    rows = [line.split() for line in done.out.splitlines() if line.strip()[:1].isdigit()]
    assert [(row[0], row[1]) for row in rows] == [("3", "input.n"), ("5", "the"), ("6", "the"), ("7", "has")]
    assert "no JSON object" in done.out


def test_with_json_all_are_told_in_the_order_of_their_lines(api: Api, cascade: Cascade, file: Path) -> None:
    file.write_text("\n".join(["oops", *ROWS]))
    api.routes[ROUTE] = (200, answer("known", "refused", "submitted"))
    done = cascade("run", "mishaps", "--each", str(file), "--json")
    assert (done.status, done.err) == (exits.NOT_AS_PROMISED, "")
    assert done.json["counts"] == {"submitted": 1, "known": 1, "refused": 2, "left": 0}
    assert [(row["line"], row["outcome"]) for row in done.json["rows"]] == [
        (1, "refused"),
        (2, "known"),
        (4, "refused"),
        (5, "submitted"),
    ]
    assert done.json["rows"][1]["runId"] == "r"


def test_of_many_that_failed_the_first_are_shown(api: Api, cascade: Cascade, file: Path) -> None:
    file.write_text("\n".join(f'{{"{n}": 1, "{n}": 2}}' for n in range(25)))
    done = cascade("run", "mishaps", "--each", str(file))
    assert (done.status, "and 5 more: --json names them" in done.out) == (exits.NOT_AS_PROMISED, True)
    assert not api.asked


def test_those_that_are_wrong_alike_are_told_together(api: Api, cascade: Cascade, file: Path) -> None:
    file.write_text("\n".join(["oops"] * 25 + ["[]"]))
    out = cascade("run", "mishaps", "--each", str(file)).out
    assert [line for line in out.splitlines() if line.startswith("1 and 24 more ")] != []
    assert "--json names them" not in out


def test_a_pipe_is_read_under_a_name_that_is_given(api: Api, cascade: Cascade) -> None:
    read, write = os.pipe()
    os.write(write, b'{"input": {"n": 1}}\n')
    os.close(write)
    assert "--key" in cascade("run", "mishaps", "--each", f"/dev/fd/{read}").err
    api.routes[ROUTE] = (200, answer("submitted"))
    assert cascade("run", "mishaps", "--each", f"/dev/fd/{read}", "--key", "monday").status == exits.OK
    os.close(read)


def test_who_is_stopped_halfway_hears_how_far_it_went(api: Api, cascade: Cascade, file: Path) -> None:
    file.write_text("\n".join(json.dumps({"input": n}) for n in range(1_500)))
    api.routes[ROUTE] = [
        (200, answer(*["submitted"] * 1_000)),
        problem(404, "workflow-not-found", "there is no workflow 'mishaps'"),
    ]
    done = cascade("run", "mishaps", "--each", str(file))
    assert done.status == exits.NOT_THERE
    assert "1,000 of 1,500 rows sent; the same command goes on with the rest, and doubles nothing." in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--each", "nowhere.jsonl"], "there is no file 'nowhere.jsonl'"),
        (["--each", "-"], "give one with --key"),
        (["--each", "FILE", "--input", "{}"], "leave the other out"),
        (["--each", "FILE", "--watch"], "leave the other out"),
    ],
)
def test_what_is_typed_wrongly_is_told_in_a_line(
    api: Api, cascade: Cascade, file: Path, arguments: list[str], said: str
) -> None:
    done = cascade("run", "mishaps", *(str(file) if each == "FILE" else each for each in arguments))
    assert (done.status, done.out, said in done.err) == (exits.WRONG_USE, "", True)
    assert not api.asked
