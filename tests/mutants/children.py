"""What the protocol marks (M) of children (§14, but for undoing), each taken away; and what else keeps them whole."""

from __future__ import annotations

from mutants.mutant import Mutant

MARKED = (
    "under names that follow from run, step, attempt",
    "then M rides, under no halt",
    "in one transaction with M's `made`, under M's `seq`",
    "which every release raises, and no halt",
    "raise M's counter before",
    "it brings M's `due` within a lease",
    "The sweep looks at a waiting M past due whatever the counter says",
    "(the counter decides neither release",
    "nor end",
    "`lost` counts the failures below it",
    "`due` becomes the run's deadline, under the counter as read",
    "unless that is ahead of the ends found",
    "M gets the halt, under `seq`",
    "and the attempt",
    "and only then",
    "a failed M's too",
    "if in the attempt that the stop is meant for",
    "the parent's terminal event comes after the last child's end",
    "revives M, as any branch under a check of the run",
    "waiting again, due soon, made",
    "= low",
    "Releases revive its children, nothing else does",
)
"""The words before each (M) in §14 of protocol.md, points 1 to 6."""

TESTS = "clauses/test_children.py::"
RULES, LEDGER, CHILDREN = "engine/children.py", "dynamodb/family_ledger.py", "operations/children.py"
STOPS, CHANGES = "operations/stops.py", "dynamodb/changes.py"
FENCE = 'return Attr("sq").eq(known.seq) & _as_known("hb", known.heartbeat_us) & _as_known("h", known.halt)'


def _mutant(name: str, clause: str, place: str, text: str, instead: str, *tests: str) -> Mutant:
    return Mutant(name, clause, place, text, instead, tuple(TESTS + test for test in tests))


CHILDREN_OF_STEPS = (
    _mutant(
        "items are put aside for all attempts",
        MARKED[0],
        "dynamodb/keys.py",
        'f"P#{step_id}#{attempt}#i{number:06d}"',
        'f"P#{step_id}#0#i{number:06d}"',
        "test_who_is_believed_dead_puts_its_items_aside_for_itself",
    ),
    _mutant(
        "items are handed out by a step that is halted",
        MARKED[1],
        CHANGES,
        FENCE,
        'return Attr("sq").eq(known.seq) & _as_known("hb", known.heartbeat_us)',
        "test_nobody_hands_out_what_is_stopped",
    ),
    _mutant(
        "a release asks for no halt alone",
        MARKED[2],
        LEDGER,
        "before.name), fence(before), add=counted, **change))",
        'before.name), Attr("h").not_exists(), add=counted, **change))',
        "test_a_release_decided_before_a_retry_makes_nobody_after_it",
    ),
    _mutant(
        "a release does not ask for a halt",
        MARKED[3],
        LEDGER,
        "before.name), fence(before), add=counted, **change))",
        'before.name), Attr("sq").eq(before.seq), add=counted, **change))',
        "test_a_release_decided_before_a_stop_makes_nobody_after_it",
    ),
    _mutant(
        "an end is counted by nobody before it is written",
        MARKED[4],
        "operations/steps.py",
        "commit = self._after_commit.count_end(facts, self._decide(facts, branch, command, held))",
        "commit = self._decide(facts, branch, command, held)",
        "test_an_end_is_counted_before_it_is_written",
    ),
    _mutant(
        "an end that is counted leaves the look where it is",
        MARKED[5],
        LEDGER,
        "for when, moved in ((WAITING & soon, {}), (WAITING, place)):",
        "for when, moved in ((WAITING, {}),):",
        "test_an_end_is_counted_before_it_is_written",
    ),
    _mutant(
        "a sweep looks at who waits if the counter is full",
        MARKED[6],
        "operations/attention.py",
        "if self._after_commit.children.look(run.run_id, step.name, puts_off=True):",
        "if self._after_commit.children.look(run.run_id, step.name, is_urgent=False, puts_off=True):",
        "test_a_sweep_looks_at_who_waits_whatever_the_counter_says",
    ),
    _mutant(
        "the counter decides who is released",
        MARKED[7],
        CHILDREN,
        "        if rules.places_left(family):\n            return self._release(facts, run, step, now)\n",
        "        if family.at_once > family.made - step.arrived:\n"
        "            now = rules.replace(now, family=rules.replace(family, out=()))\n"
        "            return self._release(facts, run, step, now)\n",
        "test_a_counter_that_is_ahead_releases_nobody",
    ),
    _mutant(
        "the counter decides that all are over",
        MARKED[8],
        CHILDREN,
        "if family.made == family.children and not family.out:",
        "if family.made == family.children and step.arrived >= family.children:",
        "test_a_counter_that_is_full_ends_nothing",
    ),
    _mutant(
        "failures of earlier looks are forgotten",
        MARKED[9],
        RULES,
        "lost = family.lost + sum(items_lost(family, child, batch) for child in over.values())",
        "lost = sum(items_lost(family, child, batch) for child in over.values())",
        "test_failures_that_were_looked_at_stay_counted",
    ),
    _mutant(
        "a look is put off whatever was counted meanwhile",
        MARKED[10],
        LEDGER,
        'when = fence(before) & Attr("n").eq(before.arrived)',
        "when = fence(before)",
        "test_a_look_is_not_put_off_past_an_end_that_comes_between",
    ),
    _mutant(
        "a look is put off whatever was counted and not found",
        MARKED[11],
        RULES,
        "    if now.arrived > ends(family_of(now)):\n        return None\n",
        "",
        "test_a_look_is_not_put_off_while_an_end_is_counted_and_not_found",
    ),
    _mutant(
        "a step with children is halted whatever it has become",
        MARKED[12],
        CHANGES,
        'return fence(known) & Attr("ra").lte(stop.run_attempt)',
        'return Attr("ra").lte(stop.run_attempt)',
        "test_a_step_that_is_halted_as_it_was_not_read_is_read_again",
    ),
    _mutant(
        "a step with children is halted in a later attempt",
        MARKED[13],
        CHANGES,
        'return fence(known) & Attr("ra").lte(stop.run_attempt)',
        "return fence(known)",
        "test_a_late_stop_leaves_alone_who_waits_in_the_next_attempt",
    ),
    _mutant(
        "a step that waits for its children is not halted",
        MARKED[14],
        "engine/state.py",
        'frozenset({"scheduled", "running", "skipping", "waiting"})',
        'frozenset({"scheduled", "running", "skipping"})',
        "test_a_step_is_halted_before_its_children_are_stopped",
    ),
    _mutant(
        "the children of a step that has failed go on",
        MARKED[15],
        STOPS,
        "if b.family is not None and b.family.out and b.run_attempt <= stop.run_attempt]",
        "if b.family is not None and b.family.out and b.halt]",
        "test_a_failed_child_fails_its_parent_and_stops_the_others",
    ),
    _mutant(
        "a late stop ends children in a later attempt",
        MARKED[16],
        "dynamodb/run_ledger.py",
        'when = _unmoved(before) & Attr("ra").eq(stop.run_attempt)',
        "when = _unmoved(before)",
        "test_a_late_stop_leaves_children_alone_that_go_on_in_the_next_attempt",
    ),
    _mutant(
        "a run ends before its children",
        MARKED[17],
        STOPS,
        "if last_us is None or step.awaited:",
        "if step.awaited:",
        "test_a_parents_end_comes_after_its_childrens",
    ),
    _mutant(
        "who waits for children is revived though its run has ended again",
        MARKED[18],
        "engine/decide.py",
        "return replace(commit, before=branch, checks_run=True)",
        "return replace(commit, before=branch)",
        "test_who_waits_is_revived_while_its_run_goes_on_alone",
    ),
    _mutant(
        "a retry goes on with the children that were not made yet",
        MARKED[19],
        RULES,
        "again = replace(family_of(branch), made=0, lost=0, out=())",
        "again = replace(family_of(branch), lost=0, out=())",
        "test_a_retry_begins_with_the_first_child",
    ),
    _mutant(
        "a retry waits for the children of the attempt before",
        MARKED[20],
        RULES,
        "again = replace(family_of(branch), made=0, lost=0, out=())",
        "again = replace(family_of(branch), made=0, lost=0)",
        "test_a_retry_begins_with_the_first_child",
    ),
    _mutant(
        "anybody tries a child again",
        MARKED[21],
        "operations/retries.py",
        "        self._runtime.nobodys_child(run, RunNotRetryableError)\n",
        "",
        "test_nobody_but_its_parent_stops_a_child_or_tries_it_again",
    ),
)
