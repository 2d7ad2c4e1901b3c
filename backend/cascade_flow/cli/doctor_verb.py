"""`doctor`: which runs are late or stuck, why, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cascade_flow.cli import exits, families, formatting, schedule_tables
from cascade_flow.cli.command_verbs import OptionalRun
from cascade_flow.cli.target import Target, targeted
from cascade_flow.errors import GoneError

if TYPE_CHECKING:
    from cascade_flow.client import Client, Json

_LOOKS = {"well": ("✓", "green"), "waits": ("○", "cyan"), "late": ("!", "yellow"), "stuck": ("✗", "red")}


@targeted
def doctor(
    target: Target,
    run: OptionalRun = None,
    most: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="Look at so many runs at the most.")
    ] = 10_000,
) -> None:
    """Say which runs are late or stuck, why, and what to do; or why a run stands where it stands. Schedules too.

    ✓ is as it should be, ○ waits as it was asked to, ! is late and mended by the engine, ✗ waits for you.
    Ends with 1 where something is late or stuck.

    Examples:

      $ cascade doctor
      $ cascade doctor 3f2a91c07b1d4e55
      $ cascade doctor --json | jq -r '.runs[].findings[0].sentence'
    """
    with target.client() as client:
        told = _of_one(target, client.diagnosis(families.meant(client, run))) if run else _of_all(target, client, most)
    if not told:
        raise typer.Exit(exits.NOT_AS_PROMISED)


def _of_one(target: Target, found: Json) -> bool:
    if target.as_json:
        target.screen.data(found)
    else:
        target.screen.show(Text.assemble((found["runId"], "bold"), f"  {found.get('workflowSlug', '')}"))
        _show(target, found["findings"])
        _show_engine(target, found["engine"])
    return bool(found["isWell"]) and _is_well(found["engine"])


def _of_all(target: Target, client: Client, most: int) -> bool:
    runs: list[Json] = []
    looked_at, engine, is_whole = 0, [], False
    with target.screen.busy() as busy:
        busy.far("looking at the runs that go on")
        for piece in client.diagnoses():
            runs, engine = [*runs, *piece["runs"]], piece["engine"]
            looked_at += piece["lookedAt"]
            is_whole = "nextCursor" not in piece
            busy.far(f"looking at the runs that go on: {looked_at:,}, {len(runs):,} late or stuck")
            if looked_at >= most:
                break
        busy.forget()
    schedules = _of_schedules(_schedules(client))
    if target.as_json:
        told = {"runs": runs, "engine": engine, "schedules": schedules, "lookedAt": looked_at, "isWhole": is_whole}
        target.screen.data(told)
    else:
        _tell(target, runs, engine, looked_at, is_whole=is_whole)
        _show_schedules(target, schedules)
    return not runs and _is_well(engine) and _is_well(schedules)


def _schedules(client: Client) -> list[Json]:
    with suppress(GoneError):  # a stack of an earlier release has none
        return client.schedules()
    return []


def _of_schedules(found: Sequence[Json]) -> list[Json]:
    """What is to be said of schedules: those that fail, and those that are paused."""
    return [finding for schedule in found for finding in _of_schedule(schedule)]


def _of_schedule(schedule: Json) -> Iterator[Json]:
    named = f"schedule {schedule['name']} of {schedule['workflowSlug']}"
    place = {"workflowSlug": schedule["workflowSlug"], "schedule": schedule["name"]}
    if "error" in schedule:
        failed = f"{named}: its time of {schedule_tables.moment(schedule, schedule['failedTimeUs'])} has no run"
        cure = "mend the schedule or the workflow, deploy, and make up for it: cascade schedules backfill"
        yield {**place, "severity": "stuck", "sentence": f"{failed}: {schedule['error']}", "cure": cure}
    if "pausedAtUs" in schedule:
        since = f"paused since {schedule_tables.moment(schedule, schedule['pausedAtUs'])}"
        yield {**place, "severity": "waits", "sentence": f"{named}: {since}"}


def _show_schedules(target: Target, findings: Sequence[Json]) -> None:
    if findings:
        target.screen.show(Text(""), Text("schedules", "bold"))
        _show(target, findings)


def _tell(target: Target, runs: Sequence[Json], engine: Sequence[Json], looked_at: int, *, is_whole: bool) -> None:
    for run in runs:
        target.screen.show(Text.assemble((run["runId"], "bold"), f"  {run.get('workflowSlug', '')}"))
        _show(target, [each for each in run["findings"] if each["severity"] in ("late", "stuck")])
        target.screen.show(Text(""))
    _show_engine(target, engine)
    late = f"{len(runs):,} late or stuck" if runs else "all is well"
    more = "" if is_whole else ", of more (--limit)"
    said = f"{formatting.count(looked_at, 'run')} under way{more}: {late}." if looked_at else "No run is under way."
    target.screen.show(Text(said))


def _show_engine(target: Target, findings: Sequence[Json]) -> None:
    if findings:
        target.screen.show(Text("the engine", "bold"))
        _show(target, findings)
        target.screen.show(Text(""))


def _show(target: Target, findings: Sequence[Json]) -> None:
    for finding in findings:
        for line in _lines(finding):
            target.screen.show(line)


def _lines(finding: Json) -> Iterator[Text]:
    sign, style = _LOOKS.get(finding["severity"], ("○", ""))
    yield Text.assemble((f"  {sign} ", style), finding["sentence"])
    if finding.get("cure"):
        yield Text(f"    → {finding['cure']}", "dim")


def _is_well(engine: Sequence[Json]) -> bool:
    return all(finding["severity"] in ("well", "waits") for finding in engine)
