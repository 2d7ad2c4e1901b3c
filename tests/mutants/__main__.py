"""`python -m mutants`: plants every mutant of the catalogue, or those that are named, and says which were noticed."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from mutants.catalogue import CATALOGUE
from mutants.foreign import mutants_of
from mutants.mutant import PACKAGE, Mutant, Stale
from mutants.rules import by_rule
from mutants.sieve import AT_IMPORT, GATE, UNSEEN, sifted
from mutants.trial import SURVIVED, Verdict, fails_unplanted, share, trials

_SHOWN_LINES = 15


def main() -> int:
    """The process's exit code: 0 where every mutant was killed."""
    asked = _arguments()
    try:
        chosen = _chosen(asked)
    except (OSError, ValueError, TypeError, SyntaxError, Stale) as error:
        print(f"these mutants can't be planted: {error}", file=sys.stderr)
        return 2
    if asked.list:
        print("\n".join(f"{mutant.clause:60.60}  {mutant.name}" for mutant in chosen))
        return 0
    mutants = [mutant for mutant in chosen if not mutant.equivalent]
    print(f"== {len(mutants)} mutants, {len(chosen) - len(mutants)} more that no test can tell from the product")
    if not mutants:
        return 2
    if asked.by_rule or asked.of:
        return _report(_sifted(asked, mutants), asked.at_least)
    share()
    if told := fails_unplanted(test for mutant in mutants for test in mutant.tests):
        print(told, "\n== these tests fail without any mutant: mend them first", file=sys.stderr)
        return 2
    return _report(
        [_told(verdict) for verdict in trials(mutants, jobs=asked.jobs, limit_s=asked.limit)], asked.at_least
    )


def _chosen(asked: argparse.Namespace) -> list[Mutant]:
    if asked.of:
        return list(mutants_of(asked.of))
    if asked.by_rule:
        dice = Random(asked.seed)
        return [mutant for place in _modules(asked.names) for mutant in by_rule(place) if dice.random() < asked.share]
    return [mutant for mutant in CATALOGUE if _is_meant(mutant, asked.names)]


def _modules(names: Sequence[str]) -> Iterator[str]:
    """The modules of these names, and of these folders."""
    for name in names:
        found = sorted((PACKAGE / name).rglob("*.py")) or [PACKAGE / name]
        yield from (str(path.relative_to(PACKAGE)) for path in found)


def _sifted(asked: argparse.Namespace, mutants: Sequence[Mutant]) -> list[Verdict]:
    """What became of them: who survives the module's own suites meets all others of the gate that need no stack.

    Those that act when their module is imported are tried one by one, after all others.
    """
    left, verdicts = list(mutants), dict[str, Verdict]()
    own = dict.fromkeys(suite for mutant in left for suite in mutant.tests if not suite.startswith("functions"))
    for suites in filter(None, (tuple(own), *GATE)):
        if not left:
            break
        sifted(left, suites, limit_s=asked.limit, told=lambda it: verdicts.update({it.mutant.name: _told(it)}))
        left = [mutant for mutant in left if verdicts[mutant.name].outcome in (SURVIVED, UNSEEN)]
    share()
    at_import = [verdict.mutant for verdict in verdicts.values() if verdict.outcome == AT_IMPORT]
    tried = [_told(verdict) for verdict in trials(at_import, jobs=asked.jobs, limit_s=asked.limit)]
    return [*(verdicts | {verdict.mutant.name: verdict for verdict in tried}).values()]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names, clauses or files; all mutants, where none is given")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (default: 2)")
    parser.add_argument(
        "--limit", type=float, default=60, help="seconds for one; longer is killed by time (default: 60)"
    )
    parser.add_argument(
        "--by-rule", action="store_true", help="the names are modules or folders: all mistakes that are made by rule"
    )
    parser.add_argument("--of", type=Path, help="instead: those of this file, a list of [module, text, instead]")
    parser.add_argument("--at-least", type=float, default=100, help="how many of 100 must be noticed (default: all)")
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


def _report(verdicts: Sequence[Verdict], at_least: float) -> int:
    missed = [verdict for verdict in verdicts if not verdict.is_well]
    for verdict in missed:
        last = "\n    ".join(verdict.told.splitlines()[-_SHOWN_LINES:])
        print(f"\n{verdict.outcome}: {verdict.mutant.name} ({verdict.mutant.clause})\n    {last}")
    counts = Counter(verdict.outcome for verdict in verdicts)
    noticed = 100 * (len(verdicts) - len(missed)) / len(verdicts)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    print(f"\n== {told}: {noticed:.1f} of 100 noticed, of {at_least:g} wanted")
    return 0 if noticed >= at_least else 1


if __name__ == "__main__":
    sys.exit(main())
