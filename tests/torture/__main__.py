"""`make torture`: the slow suites, then chaos on the deployed local stack. Ends with 1 where something was violated."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cascade_flow.clock import now_us
from torture.chaos import USERS, chaos
from torture.long_forms import long_forms
from torture.report import written

MINUTES = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Answers the exit code."""
    wanted = _wanted(arguments)
    sections: dict[str, Any] = {}
    failed = False
    if wanted.only != "chaos":
        simulated = long_forms(wanted.processes)
        print(simulated, flush=True)
        sections["simulated"], failed = simulated.to_json(), simulated.failed
    if wanted.only != "simulated":
        report = chaos(wanted.seed, wanted.minutes, users=wanted.users, keep=wanted.keep, say=_say)
        print(report, flush=True)
        sections["chaos"], failed = report.to_json(), failed or bool(report.violations)
    if wanted.json:
        wanted.json.write_text(written(sections), encoding="utf-8")
    return int(failed)


def _wanted(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make torture ARGS=", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how long chaos lasts (%(default)g)")
    parser.add_argument("--users", type=int, default=USERS, help="who want runs at the same time (%(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="of all that is random")
    parser.add_argument("--only", choices=["simulated", "chaos"], help="only the slow suites, or only the stack")
    parser.add_argument("--processes", type=int, default=2, help="of the slow suites at a time (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the stack for a look where something was violated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report for programs too")
    return parser.parse_args(arguments)


_BEGUN_US = now_us()


def _say(words: str) -> None:
    print(f"[{(now_us() - _BEGUN_US) // 1_000_000:>5} s] {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
