"""What breaks the clauses of waiting for time (protocol.md §12)."""

from __future__ import annotations

from mutants.mutant import Mutant

DELAY, LATER = "§12 Delay", "§12 Later"
ADVANCE, WAITS, ATTENTION, DECIDE = (
    "engine/advance.py",
    "engine/waits.py",
    "operations/attention.py",
    "engine/decide.py",
)
_UNIT = "unit/engine/test_waits.py"
_CLAUSE = "clauses/test_waits.py"

DELAYS = (
    Mutant(
        "who completes its cause starts a delayed step",
        DELAY,
        ADVANCE,
        "if claimant is None or is_delayed or",
        "if claimant is None or",
        (
            f"{_UNIT}::test_nobody_starts_a_delayed_step_when_its_cause_is_there",
            f"{_CLAUSE}::test_a_message_carries_a_short_wait_and_no_sweep_looks_meanwhile",
        ),
    ),
    Mutant(
        "a delayed step is looked at when any other is",
        DELAY,
        ADVANCE,
        "if definition.delay_ms else scheduled",
        "if False else scheduled",
        (
            f"{_UNIT}::test_a_delayed_step_is_looked_at",
            f"{_CLAUSE}::test_a_message_carries_a_short_wait_and_no_sweep_looks_meanwhile",
        ),
    ),
    Mutant(
        "what is owed waits as long as the next step",
        DELAY,
        ADVANCE,
        "return replace(branch, due_us=soon_us) if is_late else branch",
        "return branch",
        (
            f"{_UNIT}::test_what_is_owed_is_looked_for_soon_however_long_the_next_step_waits",
            f"{_CLAUSE}::test_who_dies_before_what_it_owes_keeps_no_fork_waiting_for_a_delayed_step",
        ),
    ),
    Mutant(
        "a message carries a little more than it can",
        DELAY,
        WAITS,
        "(branch.available_at_us or 0) - branch.last_us <= LONGEST_DELAY_US",
        "(branch.available_at_us or 0) - branch.last_us <= 2 * LONGEST_DELAY_US",
        (f"{_UNIT}::test_a_message_carries_a_quarter_of_an_hour",),
    ),
    Mutant(
        "what is left of a long wait is taken for carried",
        DELAY,
        WAITS,
        "(branch.available_at_us or 0) - now_us > LONGEST_DELAY_US",
        "(branch.available_at_us or 0) - now_us > 0",
        (f"{_CLAUSE}::test_the_index_holds_a_long_wait_until_a_message_can_carry_the_rest",),
    ),
    Mutant(
        "a wait that is carried is handed over once more",
        DELAY,
        ATTENTION,
        "(waits.is_carried(branch) or waits.is_far(branch, clock.now_us()))",
        "waits.is_far(branch, clock.now_us())",
        ("clauses/test_sweeps.py::test_what_is_scheduled_for_later_is_looked_at_when_its_message_must_have_come",),
    ),
    Mutant(
        "who hands a wait over looks again at once",
        DELAY,
        ATTENTION,
        "max(now_us, call.since_us) + pause_us",
        "now_us + pause_us",
        (f"{_CLAUSE}::test_the_index_holds_a_long_wait_until_a_message_can_carry_the_rest",),
    ),
    Mutant(
        "what is let go is looked at soon, however long it waits",
        DELAY,
        DECIDE,
        "return replace(branch, due_us=max(branch.due_us or 0, look_us(branch, facts.timing)))",
        "return branch",
        (
            f"{_UNIT}::test_what_is_let_go_waits_on_and_is_looked_at_when_it_must",
            f"{_CLAUSE}::test_a_delayed_step_of_a_cancelled_run_waits_on_when_that_is_tried_again",
        ),
    ),
    Mutant(
        "what is let go and owes is looked at as late as it waits",
        DELAY,
        DECIDE,
        'if branch.status != "scheduled" or branch.owed is not None:',
        'if branch.status != "scheduled":',
        (f"{_UNIT}::test_what_is_let_go_waits_on_and_is_looked_at_when_it_must",),
    ),
)
_LATER = "unit/engine/test_later.py"
LATERS = (
    Mutant(
        "who is not ready has used an attempt of its policy",
        LATER,
        DECIDE,
        "uncounted = replace(branch.untried,",
        "uncounted = replace(branch,",
        (
            f"{_LATER}::test_it_comes_again_as_its_next_attempt_which_no_policy_counts",
            f"{_CLAUSE}::test_the_policy_counts_what_failed_and_no_attempt_that_was_not_ready",
        ),
    ),
    Mutant(
        "who is not ready does not say why",
        LATER,
        DECIDE,
        'writer.write(LogEntry, step_id=branch.step, stream="stdout", message=said, attempt_number=branch.attempt)',
        "pass",
        (
            f"{_LATER}::test_it_comes_again_as_its_next_attempt_which_no_policy_counts",
            f"{_CLAUSE}::test_who_is_not_ready_comes_again_by_one_request_that_leaves_the_index_alone",
        ),
    ),
    Mutant(
        "patience counts from the last question",
        LATER,
        WAITS,
        "return branch.later_since_us or branch.available_at_us or 0",
        "return branch.available_at_us or 0",
        (f"{_LATER}::test_its_patience_has_an_end", f"{_CLAUSE}::test_patience_has_an_end"),
    ),
    Mutant(
        "patience has no end",
        LATER,
        WAITS,
        "return None if now_us >= until_us else min(wanted_us, until_us)",
        "return min(wanted_us, max(until_us, now_us + _LEAST_US))",
        (f"{_LATER}::test_its_patience_has_an_end",),
    ),
    Mutant(
        "who wants to come after its patience's end is not asked once more",
        LATER,
        WAITS,
        "else min(wanted_us, until_us)",
        "else wanted_us",
        (f"{_LATER}::test_when_it_comes_again",),
    ),
    Mutant(
        "a step asks without a pause",
        LATER,
        WAITS,
        "within_time(max(wanted_us, now_us + _LEAST_US))",
        "within_time(wanted_us)",
        (f"{_LATER}::test_when_it_comes_again",),
    ),
    Mutant(
        "who is not ready while its run fails leaves the stop to the sweep",
        LATER,
        "operations/after_commit.py",
        'return branch.status == "parked" or (branch.status == "scheduled" and branch.halt is not None)',
        'return branch.status == "parked"',
        (f"{_CLAUSE}::test_the_run_that_fails_does_not_wait_for_who_is_not_ready",),
    ),
    Mutant(
        "who may not be claimed is called out",
        LATER,
        "operations/after_commit.py",
        "    if branch.halt is not None:\n        return False\n",
        "",
        (f"{_CLAUSE}::test_the_run_that_fails_does_not_wait_for_who_is_not_ready",),
    ),
    Mutant(
        "a sweep calls out who may not be claimed, and leaves the stop",
        LATER,
        ATTENTION,
        "            self._stops.carry_on(run.run_id)\n            return\n",
        "            return\n",
        (f"{_CLAUSE}::test_who_dies_before_it_goes_on_with_the_stop_leaves_that_to_the_sweep",),
    ),
    Mutant(
        "a retry of the run has what is left of the patience",
        LATER,
        DECIDE,
        "branch = replace(branch, laters=None, later_since_us=None)",
        "pass",
        (f"{_LATER}::test_a_retry_of_the_run_is_as_patient_as_the_first",),
    ),
    Mutant(
        "the next step has what is left of the patience",
        LATER,
        ADVANCE,
        "        laters=None,\n        later_since_us=None,\n",
        "",
        (f"{_LATER}::test_the_next_step_begins_its_own_count",),
    ),
)
WAITING = (*DELAYS, *LATERS)
