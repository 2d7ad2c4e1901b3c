"""What keeps limits (architecture.md), each taken away."""

from __future__ import annotations

from mutants.mutant import Mutant

PLACES, TURNS, LEDGER, ENGINE = "dynamodb/places.py", "dynamodb/turns.py", "dynamodb/ledger.py", "engine/limits.py"
OPERATIONS, AFTER, STEPS = "operations/limits.py", "operations/after_commit.py", "operations/steps.py"
ALWAYS = 'Attr("never").not_exists()'


def _mutant(name: str, clause: str, place: str, text: str, instead: str, *tests: str, rates: bool = False) -> Mutant:
    suite = "clauses/test_rates.py::" if rates else "clauses/test_limits.py::"
    return Mutant(name, f"architecture.md: {clause}", place, text, instead, tuple(suite + test for test in tests))


TAKEN = "a place is taken by one, and given back by whom it names"
LINE = "whoever waits gets its turn, and takes no message until then"
RATE = "each attempt has a turn of its own"
RUNS = "only so many runs of a workflow go on at once"
HOLDER = 'mine = Attr("r").eq(holder.run_id) & Attr("s").eq(holder.step) & Attr("a").eq(holder.attempt)'

LIMITS = (
    _mutant(
        "a place is anybody's, whoever has it",
        TAKEN,
        PLACES,
        'free = Attr(keys.PARTITION).not_exists() | Attr("u").lte(now_us)',
        f"free = {ALWAYS}",
        "test_of_two_who_want_the_last_place_one_gets_it",
    ),
    _mutant(
        "a place is taken once for ever",
        TAKEN,
        PLACES,
        'free = Attr(keys.PARTITION).not_exists() | Attr("u").lte(now_us)',
        "free = Attr(keys.PARTITION).not_exists()",
        "test_no_more_than_there_are_places_are_at_work",
    ),
    _mutant(
        "the first who wants a place finds none",
        TAKEN,
        PLACES,
        'free = Attr(keys.PARTITION).not_exists() | Attr("u").lte(now_us)',
        'free = Attr("u").lte(now_us)',
        "test_no_more_than_there_are_places_are_at_work",
    ),
    _mutant(
        "a place is given back by whatever run",
        TAKEN,
        PLACES,
        HOLDER,
        'mine = Attr("s").eq(holder.step) & Attr("a").eq(holder.attempt)',
        "test_who_comes_late_gives_nobody_elses_place_back",
    ),
    _mutant(
        "a place is given back by whatever step",
        TAKEN,
        PLACES,
        HOLDER,
        'mine = Attr("r").eq(holder.run_id) & Attr("a").eq(holder.attempt)',
        "test_a_step_that_comes_late_leaves_the_place_of_the_next_one",
    ),
    _mutant(
        "a place is given back by whatever attempt",
        TAKEN,
        PLACES,
        HOLDER,
        'mine = Attr("r").eq(holder.run_id) & Attr("s").eq(holder.step)',
        "test_who_comes_late_gives_nobody_elses_place_back",
    ),
    _mutant(
        "a heartbeat takes back what was given back",
        TAKEN,
        PLACES,
        'return mine & Attr("u").gt(0)',
        "return mine",
        "test_a_heartbeat_that_comes_late_takes_no_place_back",
    ),
    _mutant(
        "a claim asks not what a step needs",
        TAKEN,
        "dynamodb/changes.py",
        'return _as_known("li", None if known.limit is None else pack_limit(known.limit))',
        f"return {ALWAYS}",
        "test_who_does_not_know_of_the_limit_is_told",
    ),
    _mutant(
        "a heartbeat leaves the place alone",
        TAKEN,
        STEPS,
        "            self._after_commit.limits.prolong(run_id, held.branch, lease_us=lease_us)\n",
        "            pass\n",
        "test_a_heartbeat_keeps_the_place",
    ),
    _mutant(
        "who was slow to claim has a place for less than its lease",
        TAKEN,
        OPERATIONS,
        "elif taken is not None and (taken.lease_us or 0) > self._until_us(looked_us):",
        "elif False:",
        "test_a_place_outlives_the_lease_of_who_was_slow_to_claim",
    ),
    _mutant(
        "a place ends with the lease",
        TAKEN,
        OPERATIONS,
        "return now_us + self._runtime.timing.lease_us + self._runtime.timing.grace_us",
        "return now_us + self._runtime.timing.lease_us",
        "test_a_place_that_is_given_lasts_for_a_grace_beyond_a_lease",
    ),
    _mutant(
        "a commit keeps the place",
        TAKEN,
        AFTER,
        "return before.place is not None and not at_work and not before.stopped",
        "return False",
        "test_whatever_ends_an_attempt_gives_its_place_back",
    ),
    _mutant(
        "a retry of the run gives a place away whose code may be at work",
        TAKEN,
        AFTER,
        "return before.place is not None and not at_work and not before.stopped",
        "return before.place is not None and not at_work",
        "test_a_retry_of_the_run_leaves_the_place_with_code_that_may_be_at_work",
    ),
    _mutant(
        "who loses the claim keeps the place",
        TAKEN,
        OPERATIONS,
        "if taken is None and self._is_over(holder, number):",
        "if False:",
        "test_who_loses_the_claim_gives_its_place_back_if_the_attempt_is_over",
        "test_a_message_that_comes_twice_takes_no_second_place",
    ),
    _mutant(
        "who loses the claim gives the winner's place away",
        TAKEN,
        OPERATIONS,
        'return now.place != number if now.status == "running" else now.status != "scheduled"',
        "return True",
        "test_who_loses_the_claim_leaves_the_place_that_the_winner_runs_in",
    ),
    _mutant(
        "a place that was got ahead stays where nothing is begun",
        TAKEN,
        STEPS,
        "            limits.went_on(ahead, None)\n",
        "            pass\n",
        "test_a_place_that_was_got_ahead_comes_back_where_nothing_is_begun",
    ),
    _mutant(
        "a worker goes on with a limited step without a place",
        TAKEN,
        "engine/advance.py",
        "(scheduled.limit is None or claimant.place is not None)",
        "True",
        "test_a_worker_goes_on_with_a_limited_step_if_it_gets_a_place",
    ),
    _mutant(
        "whoever has a larger number is not counted",
        "of two numbers each goes by its own",
        ENGINE,
        "return next(free, None) if len(taken) < at_most else None",
        "return next(free, None)",
        "test_two_versions_may_disagree_on_the_number",
    ),
    _mutant(
        "whoever asks gets what is free",
        LINE,
        ENGINE,
        "return not self.line or self.line[0].holder == holder",
        "return True",
        "test_nobody_overtakes_those_who_wait",
    ),
    _mutant(
        "who gives a place back looks not who waits",
        LINE,
        OPERATIONS,
        "        self.hand_out(limit, gone=holder)\n",
        "        pass\n",
        "test_no_more_than_there_are_places_are_at_work",
    ),
    _mutant(
        "who lines up looks not again",
        LINE,
        OPERATIONS,
        "        return self.hand_out(limit, holder)\n",
        "        return None\n",
        "test_a_place_that_comes_back_while_one_lines_up_is_found",
    ),
    _mutant(
        "a step that waits is called out",
        LINE,
        AFTER,
        "        return self.limits.admit(facts.run_id, branch)\n",
        "        return True\n",
        "test_no_more_than_there_are_places_are_at_work",
    ),
    _mutant(
        "the sweep calls out who has no place",
        LINE,
        "operations/attention.py",
        "elif branch.limit is not None and branch.limit.per_us is None and available_us <= clock.now_us():",
        "elif False:",
        "test_who_waits_takes_no_message_however_long",
    ),
    _mutant(
        "who is stopped holds up the line",
        LINE,
        OPERATIONS,
        "if branch is None or not _waits(holder, branch):",
        "if branch is None:",
        "test_a_step_of_a_run_that_was_stopped_is_passed_over",
    ),
    _mutant(
        "who was given two places keeps both",
        LINE,
        OPERATIONS,
        "            if gone is not None and (left := standing.places_of(gone, now_us)):\n",
        "            if gone is not None and (left := standing.places_of(gone, 2**62)):\n",
        "test_who_was_given_two_places_keeps_one",
    ),
    _mutant(
        "lower priority first in line",
        LINE,
        OPERATIONS,
        "rank = keys.rank(branch.priority, branch.available_at_us or 0)",
        "rank = keys.rank(None, branch.available_at_us or 0)",
        "test_the_line_is_in_order_of_priority_and_then_of_age",
    ),
    _mutant(
        "a claim of whatever is due lines up",
        LINE,
        "operations/claims.py",
        "wanted, take, lines_up=lines_up)",
        "wanted, take, lines_up=True)",
        "test_who_only_looks_is_not_in_line",
    ),
    _mutant(
        "a turn is taken whoever has it",
        RATE,
        TURNS,
        'as_seen = Attr("t").eq(free_us) if free_us else Attr("t").not_exists()',
        f'as_seen = {ALWAYS} if free_us else Attr("t").not_exists()',
        "test_of_two_who_want_the_same_turn_each_gets_one",
        rates=True,
    ),
    _mutant(
        "the first turn is taken whoever has it",
        RATE,
        TURNS,
        'as_seen = Attr("t").eq(free_us) if free_us else Attr("t").not_exists()',
        f'as_seen = Attr("t").eq(free_us) if free_us else {ALWAYS}',
        "test_of_two_who_want_the_same_turn_each_gets_one",
        rates=True,
    ),
    *(
        _mutant(
            f"a turn is noted {what}",
            RATE,
            TURNS,
            text,
            instead,
            "test_a_turn_is_noted_only_where_it_is_needed_still",
            "test_a_turn_of_a_step_that_is_over_is_not_noted_on_the_next",
            rates=True,
        )
        for what, text, instead in (
            ("of what is stopped", '& Attr("h").not_exists() & Attr("tu")', '& Attr("tu")'),
            ("over another", '& Attr("tu").not_exists()', ""),
        )
    ),
    _mutant(
        "who has a turn looks when it would have looked anyway",
        RATE,
        TURNS,
        "if (branch.due_us or 0) < turn_us:",
        "if False:",
        "test_a_turn_far_ahead_is_the_due_indexes",
        rates=True,
    ),
    _mutant(
        "turns are taken one upon the other",
        RATE,
        ENGINE,
        "start_us - (-(limit.per_us or 0) // limit.at_most)",
        "start_us + (limit.per_us or 0) // limit.at_most",
        "test_no_time_of_that_length_holds_more_starts",
        rates=True,
    ),
    *(
        Mutant(name, f"architecture.md: {RUNS}", place, text, instead, (f"clauses/test_run_limits.py::{test}",))
        for name, place, text, instead, test in (
            (
                "a run starts without a place",
                "engine/runs.py",
                "or (facts.limit is not None and facts.place is None):",
                "or False:",
                "test_no_more_runs_go_on_than_the_workflow_says",
            ),
            (
                "a run that has completed keeps its place",
                AFTER,
                "        if commit.end is not None:\n            self._leave_run(facts)\n        if leaves",
                "        if leaves",
                "test_no_more_runs_go_on_than_the_workflow_says",
            ),
            (
                "a run that was stopped keeps its place",
                "operations/stops.py",
                "if facts.place is not None:",
                "if False:",
                "test_whatever_ends_a_run_lets_the_next_one_start",
            ),
            (
                "a run that was cancelled holds up the line",
                "operations/run_places.py",
                'if run is None or run.status != "pending" or run.stop is not None:',
                "if run is None:",
                "test_a_run_that_waits_and_is_cancelled_is_passed_over",
            ),
            (
                "nobody looks whether holders have ended",
                "operations/run_places.py",
                "return run.status in ENDED or run.run_attempt != holder.attempt",
                "return run.run_attempt != holder.attempt",
                "test_who_dies_between_a_runs_end_and_giving_its_place_back_holds_nobody_up_for_long",
            ),
            (
                "a run that was never made holds its place",
                "operations/run_places.py",
                "(_is_over(run, place.holder) if run else made)",
                "(_is_over(run, place.holder) if run else False)",
                "test_whoever_dies_before_the_run_is_made_holds_nobody_up_for_long",
            ),
            (
                "a submission makes a run whatever goes on",
                "operations/runs.py",
                "if entry.run_limit is not None and entry.run_limit.skips:",
                "if False:",
                "test_a_submission_while_one_goes_on_is_that_one",
            ),
            (
                "a run that was not made keeps its place",
                "operations/runs.py",
                "            self._not_made(facts)\n            return self._same_run",
                "            return self._same_run",
                "test_a_submission_with_a_known_key_is_the_run_that_it_made",
            ),
            (
                "a retry of a run is never counted",
                "operations/retries.py",
                "        facts = self._with_place(facts)\n",
                "        facts = replace(facts, place=None)\n",
                "test_who_tries_a_run_again_does_not_wait_and_is_counted_if_there_is_room",
            ),
            (
                "a run that waits is looked at by every sweep",
                "operations/attention.py",
                "if run.limit is not None and run.status",
                "if False and run.status",
                "test_a_run_that_waits_takes_no_message_and_is_looked_at_ever_more_rarely",
            ),
        )
    ),
)
