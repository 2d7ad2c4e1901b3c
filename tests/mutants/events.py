"""What the protocol marks (M) of events from outside (§13), each taken away; and what else keeps them whole."""

from __future__ import annotations

from mutants.mutant import Mutant

MARKED = (
    'under "not there yet" an earlier signal would block the start for good',
    "Each of the three sets `due` soon, not only at birth",
    "puts a large payload aside under a name of its own",
    "`due` = now",
    "`seq` + 1",
    "under (not there or open",
    "and no signal yet",
    "is success, also for a request sent again",
    "are raised before what ends it, completion or skip",
    "E goes from open",
    "in the run attempt of now",
    "it checks that the run goes on",
    "becomes `due` (none: the run's deadline), under `seq`",
    "under `seq` and the counter as read",
    "unless the counter is full",
    "At the timeout the sweep fails or skips E, under `seq`",
    '"the run goes on, in the attempt that noted it"',
    "makes E, open or timed out, open and due soon",
    "under the `due` it saw",
)
"""The words before each (M) in §13 of protocol.md."""

TESTS = "clauses/test_events.py::"
CHANGES, DUE, AFTER = "dynamodb/changes.py", "dynamodb/due.py", "operations/after_commit.py"
OUTSIDE, SIGNALS, DECIDE = "engine/outside.py", "operations/signals.py", "engine/decide.py"
FENCE = 'return Attr("sq").eq(known.seq) & _as_known("hb", known.heartbeat_us) & _as_known("h", known.halt)'
WITHOUT_SEQ = 'return _as_known("hb", known.heartbeat_us) & _as_known("h", known.halt)'


def _mutant(name: str, clause: str, place: str, text: str, instead: str, *tests: str) -> Mutant:
    return Mutant(name, clause, place, text, instead, tuple(TESTS + test for test in tests))


EVENTS = (
    _mutant(
        "an event that a run begins with is put",
        MARKED[0],
        CHANGES,
        "    if waits_outside(facts.graph, birth.branch):\n",
        "    if False:\n",
        "test_a_signal_before_the_runs_start_is_kept",
    ),
    _mutant(
        "an event that a run owes is put with other roots",
        MARKED[0],
        AFTER,
        "put = [birth for birth in births if not joins.waits_outside(facts.graph, birth.branch)]",
        "put = births",
        "test_a_root_that_was_sent_before_the_run_owes_it_keeps_no_other_from_being_made",
    ),
    _mutant(
        "an event is due soon at its birth only",
        MARKED[1],
        CHANGES,
        "place = _PLACE if is_event(facts.graph, join) else ()",
        "place = ()",
        "test_whoever_comes_to_it_has_it_looked_at_soon[memory-one of two]",
        "test_a_start_has_it_looked_at_soon",
    ),
    _mutant(
        "all senders put what is long aside in one place",
        MARKED[2],
        "operations/payloads.py",
        "key = keys.payload(run_id, step_id, attempt, secrets.token_hex(4))",
        "key = keys.payload(run_id, step_id, attempt, secrets.token_hex(4) if attempt else 'one')",
        "test_what_is_long_is_put_aside_by_each_sender_for_itself",
    ),
    _mutant(
        "a signal leaves the look where it is",
        MARKED[3],
        CHANGES,
        'sets=("st", "sg", *_PLACE), add={"sq": 1}',
        'sets=("st", "sg"), add={"sq": 1}',
        "test_who_dies_after_a_signal_leaves_it_to_the_next_sweep",
    ),
    _mutant(
        "a signal leaves seq as it is",
        MARKED[4],
        CHANGES,
        'sets=("st", "sg", *_PLACE), add={"sq": 1}',
        'sets=("st", "sg", *_PLACE), add={"sq": 0}',
        "test_a_signal_just_before_the_timeouts_write_wins_whole",
    ),
    _mutant(
        "a signal opens what is over",
        MARKED[5],
        CHANGES,
        'when=WAITS & Attr("sg").not_exists()',
        'when=Attr("sg").not_exists()',
        "test_a_signal_does_not_open_again_what_is_over",
    ),
    _mutant(
        "the last signal counts",
        MARKED[6],
        CHANGES,
        'when=WAITS & Attr("sg").not_exists()',
        "when=WAITS",
        "test_the_first_signal_counts_and_who_comes_second_is_told",
        "test_who_is_late_reads_what_the_first_has_said_and_changes_nothing",
    ),
    _mutant(
        "a raise is asked for nothing",
        "§6 join: under not there or open",
        CHANGES,
        "return Update(key, WAITS, set={name",
        "return Update(key, None, set={name",
        "test_a_raise_of_what_is_over_changes_nothing",
    ),
    _mutant(
        "what is over has forgotten what was said",
        MARKED[7],
        OUTSIDE,
        "replace(commit.after, signal=signal.spent)",
        "replace(commit.after, signal=None)",
        "test_a_signal_whose_answer_is_lost_is_known_when_it_comes_again",
        "test_the_same_signal_again_is_known",
    ),
    _mutant(
        "the same words again are others",
        MARKED[7],
        SIGNALS,
        "refused.now.signal.mark == mark:",
        "not mark:",
        "test_a_signal_whose_answer_is_lost_is_known_when_it_comes_again",
        "test_the_same_signal_again_is_known",
    ),
    _mutant(
        "what an event arrives at is raised after it",
        MARKED[8],
        AFTER,
        """            commit = self.raise_joins(facts, commit)
            opened = self._runtime.ledger.write(facts, commit, self._references(facts, commit))
""",
        """            opened = self._runtime.ledger.write(facts, commit, self._references(facts, commit))
            commit = self.raise_joins(facts, commit)
""",
        "test_what_it_arrives_at_is_raised_before",
    ),
    _mutant(
        "what is over is looked at as if it were open",
        MARKED[9],
        "engine/joins.py",
        'return join.status == "open" and join.arrived >= len(graph.awaited(join.name))',
        "return join.arrived >= len(graph.awaited(join.name))",
        "test_a_look_at_what_has_gone_on_changes_nothing",
    ),
    _mutant(
        "of two looks both let it go on",
        MARKED[9],
        CHANGES,
        FENCE,
        WITHOUT_SEQ,
        "test_of_two_looks_one_lets_it_go_on",
    ),
    _mutant(
        "an event goes on in the run's attempt in which it was born",
        MARKED[10],
        "engine/joins.py",
        "        run_attempt=facts.run_attempt,\n",
        "",
        "test_it_goes_on_in_the_runs_attempt_of_now",
    ),
    _mutant(
        "an event goes on whatever becomes of its run",
        MARKED[11],
        OUTSIDE,
        "return replace(commit, before=event, checks_run=True)",
        "return replace(commit, before=event)",
        "test_it_does_not_go_on_in_a_run_that_is_being_stopped",
    ),
    _mutant(
        "a note hides the signal that came before it",
        MARKED[12],
        CHANGES,
        FENCE,
        WITHOUT_SEQ,
        "test_a_note_does_not_hide_a_signal_that_came_before_it",
    ),
    _mutant(
        "who has read before the last arrival puts the look off",
        MARKED[13],
        DUE,
        "table.write([Update(entry.key, seen if known is None else seen & known, **change, blind=True)])",
        "table.write([Update(entry.key, None, **change, blind=True)])",
        "test_it_is_not_left_alone_by_who_has_read_it_before_the_last_arrival",
    ),
    _mutant(
        "an event whose counter is full is left alone",
        MARKED[14],
        OUTSIDE,
        "return 0 if is_full else run.deadline_us",
        "return run.deadline_us",
        "test_it_is_not_left_alone_while_somebody_stands_between_raise_and_commit",
    ),
    _mutant(
        "a timeout and a signal win both",
        MARKED[15],
        CHANGES,
        FENCE,
        WITHOUT_SEQ,
        "test_a_signal_just_before_the_timeouts_write_wins_whole",
    ),
    _mutant(
        "another attempt's note counts",
        MARKED[16],
        OUTSIDE,
        "return patience is not None and patience.run_attempt == facts.run_attempt and patience.until_us <= now_us",
        "return patience is not None and patience.until_us <= now_us",
        "test_another_attempts_note_counts_as_none",
    ),
    _mutant(
        "what has timed out is scheduled for a worker",
        MARKED[17],
        DECIDE,
        'elif branch.status == "failed" and is_event(facts.graph, branch.step):',
        "elif False:",
        "test_a_retry_of_the_run_lets_what_has_timed_out_wait_again",
    ),
    _mutant(
        "what a retry of the run revives is in no index",
        MARKED[17],
        DECIDE,
        "free = replace(branch, halt=None, run_attempt=facts.run_attempt, due_us=due_us)",
        "free = replace(branch, halt=None, run_attempt=facts.run_attempt)",
        "test_a_retry_brings_it_back_into_the_index",
    ),
    _mutant(
        "a sweep takes out of the index what was put in since",
        MARKED[18],
        DUE,
        "seen = Attr(keys.DUE_TIME).eq(entry.due_us)",
        "seen = Attr(keys.PARTITION).exists()",
        "test_a_sweep_that_saw_the_runs_end_takes_nothing_out_that_was_put_in_since",
    ),
    _mutant(
        "a signal wins over a skip in cascade",
        "A skip in cascade wins over a signal",
        "engine/joins.py",
        "    if origin is not None and facts.graph.step(join.name).skip_cascades:\n",
        "    if origin is not None and facts.graph.step(join.name).skip_cascades and not join.signal:\n",
        "test_a_skip_in_cascade_wins_over_a_signal",
    ),
    _mutant(
        "an event continues the branch of what it depends on",
        "It always begins a branch",
        "graph.py",
        " and not is_event(self, step_id)",
        "",
        "test_a_signal_before_anybody_waits_is_kept",
    ),
    _mutant(
        "a signal to a copy makes nothing of what that owes",
        "§9 a kept event keeps its payload",
        SIGNALS,
        "if run.parent is None or run.owed is None:",
        "if True:",
        "test_a_signal_to_a_copy_whose_branches_are_owed_keeps_none_from_being_made",
    ),
    _mutant(
        "who waits for the rest is polled",
        "So nobody polls an E that waits",
        OUTSIDE,
        "return 0 if is_full else run.deadline_us",
        "return 0",
        "test_who_waits_for_the_rest_is_left_alone_until_the_runs_end",
    ),
    _mutant(
        "an event of a run that is still to start is polled",
        "So nobody polls an E that waits",
        OUTSIDE,
        "        return run.available_at_us\n",
        "        return 0\n",
        "test_nobody_polls_it_before_the_run_starts",
    ),
)
