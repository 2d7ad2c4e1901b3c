"""`python -m mutants`: plants every mutant of the catalogue, or those that are named, and says which were noticed."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from random import Random

from mutants.catalogue import CATALOGUE
from mutants.mutant import Mutant
from mutants.rules import ByRule, by_rule
from mutants.sieve import AT_IMPORT, UNSEEN, sifted
from mutants.trial import Verdict, fails_unplanted, share, trials

_SHOWN_LINES = 15


def main() -> int:
    """The process's exit code: 0 where every mutant was killed."""
    asked = _arguments()
    chosen = _chosen(asked)
    if asked.list:
        print("\n".join(f"{mutant.clause:60.60}  {mutant.name}" for mutant in chosen))
        return 0
    mutants = [mutant for mutant in chosen if not mutant.equivalent]
    print(f"== {len(mutants)} mutants, {len(chosen) - len(mutants)} more that no test can tell from the product")
    if not mutants:
        return 2
    if asked.by_rule:
        return _report(_by_rule(asked, mutants))
    share()
    if told := fails_unplanted(test for mutant in mutants for test in mutant.tests):
        print(told, "\n== these tests fail without any mutant: mend them first", file=sys.stderr)
        return 2
    return _report([_told(verdict) for verdict in trials(mutants, jobs=asked.jobs, limit_s=asked.limit)])


def _chosen(asked: argparse.Namespace) -> list[Mutant]:
    if asked.by_rule:
        dice = Random(asked.seed)
        return [mutant for place in asked.names for mutant in by_rule(place) if dice.random() < asked.share]
    return [mutant for mutant in CATALOGUE if _is_meant(mutant, asked.names)]


def _by_rule(asked: argparse.Namespace, chosen: Sequence[Mutant]) -> list[Verdict]:
    """What became of them: those that act when their module is imported are tried after all others, one by one."""
    mutants = [mutant for mutant in chosen if isinstance(mutant, ByRule)]
    found: list[Verdict] = []
    suites = dict.fromkeys(suite for mutant in mutants for suite in mutant.tests)
    sifted(mutants, list(suites), limit_s=asked.limit, told=lambda verdict: found.append(_told(verdict)))
    share()
    left = [verdict.mutant for verdict in found if verdict.outcome in (UNSEEN, AT_IMPORT)]
    tried = [_told(verdict) for verdict in trials(left, jobs=asked.jobs, limit_s=asked.limit)]
    return [verdict for verdict in found if verdict.mutant not in left] + tried


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names, clauses or files; all mutants, where none is given")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (default: 2)")
    parser.add_argument(
        "--limit", type=float, default=60, help="seconds for one; longer is killed by time (default: 60)"
    )
    parser.add_argument(
        "--by-rule", action="store_true", help="the names are modules: all mistakes that are made by rule"
    )
    parser.add_argument("--share", type=float, default=1, help="of mutants by rule only this share, at random")
    parser.add_argument("--seed", type=int, default=1, help="what that is drawn from")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    return parser.parse_args()


def _is_meant(mutant: Mutant, names: Sequence[str]) -> bool:
    text = f"{mutant.name} {mutant.clause} {mutant.place}"
    return not names or any(name in text for name in names)


def _told(verdict: Verdict) -> Verdict:
    print(f"{verdict.outcome:>14} {verdict.seconds:5.1f} s  {verdict.mutant.name}", flush=True)
    return verdict


def _report(verdicts: Sequence[Verdict]) -> int:
    for verdict in verdicts:
        if not verdict.is_well:
            last = "\n    ".join(verdict.told.splitlines()[-_SHOWN_LINES:])
            print(f"\n{verdict.outcome}: {verdict.mutant.name} ({verdict.mutant.clause})\n    {last}")
    counts = Counter(verdict.outcome for verdict in verdicts)
    print("\n== " + ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))
    return 0 if all(verdict.is_well for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
