"""The conditions of writes to runs that callers drive, each taken away (protocol.md §2)."""

from __future__ import annotations

from mutants.mutant import Mutant

LEDGER = "dynamodb/caller_ledger.py"
TESTS = "clauses/test_callers.py::"
ALWAYS = 'Attr("never").not_exists()'
LIVE = '_GOES_ON = Attr("st").ne("completed") & Attr("st").ne("failed") & Attr("st").ne("cancelled")'
ENDED = '_HAS_ENDED = Attr("st").eq("completed") | Attr("st").eq("failed") | Attr("st").eq("cancelled")'
BY_CALLER = '_BY_CALLER = Attr("dr").eq("caller") & Attr("st").ne("copying")'
FREE = 'free = NEW | Attr("st").eq("copying") | unspoken'
STATUSES = ("completed", "failed", "cancelled")


def _without(parts: tuple[str, ...], gone: str, sign: str) -> str:
    """A condition of these parts, one of them left out."""
    return f" {sign} ".join(part for part in parts if gone not in part)


def _mutant(name: str, clause: str, text: str, instead: str, *tests: str) -> Mutant:
    return Mutant(name, clause, LEDGER, text, instead, tuple(TESTS + test for test in tests))


ENDS = (
    *(
        _mutant(
            f"a run that is {status} goes on",
            "§2 the run is checked to be live",
            LIVE,
            "_GOES_ON = " + _without(tuple(f'Attr("st").ne("{each}")' for each in STATUSES), status, "&"),
            f"test_no_report_is_taken_after_the_runs_end[memory-{status}]",
            f"test_nothing_is_added_after_the_end_of_a_run_of_the_engines[memory-{status}]",
        )
        for status in STATUSES
    ),
    *(
        _mutant(
            f"a run that is {status} has not ended",
            "§8 live branches are in the index",
            ENDED,
            "_HAS_ENDED = " + _without(tuple(f'Attr("st").eq("{each}")' for each in STATUSES), status, "|"),
            f"test_the_steps_of_an_ended_run_leave_the_lists[memory-{status}]",
        )
        for status in STATUSES
    ),
    _mutant(
        "steps leave the lists though their run goes on again",
        "§8 live branches are in the index",
        "self._table.write([Check(keys.run(run_id), _HAS_ENDED), update])",
        f"self._table.write([Check(keys.run(run_id), {ALWAYS}), update])",
        "test_the_steps_of_a_run_that_goes_on_again_stay_in_the_lists",
    ),
    _mutant(
        "a step that is gone leaves the lists",
        "§2 the step's item",
        'Update(keys.branch(run_id, step_id), Attr("sq").exists(), remove=gone)',
        "Update(keys.branch(run_id, step_id), None, remove=gone)",
        "test_a_step_that_was_forgotten_is_not_made_by_who_takes_it_from_the_lists",
    ),
    _mutant(
        "of a run that goes on again a step is told as if it had ended",
        "§8 live branches are in the index",
        'return _BY_CALLER & Attr("st").eq(run.status)',
        "return _BY_CALLER",
        "test_what_is_said_of_an_ended_run_that_goes_on_meanwhile_leaves_its_step_in_the_lists",
    ),
    _mutant(
        "a report is not told whether its run goes on",
        "§2 the run is checked to be live",
        "return _BY_CALLER & _GOES_ON if live else _BY_CALLER",
        "return _BY_CALLER",
        "test_no_report_is_taken_after_the_runs_end",
    ),
)

WORDS = (
    _mutant(
        "a run that stays as it is is not looked at",
        "§2 the run is checked to be live",
        "return Check(keys.run(after.run_id), _stays(before, live=live))",
        f"return Check(keys.run(after.run_id), {ALWAYS})",
        "test_a_run_that_has_expired_takes_no_more_words",
        "test_no_report_is_taken_after_the_runs_end",
    ),
    _mutant(
        "whoever drives a run, and whether it is there, a word is stored",
        "§2 one driver per run",
        BY_CALLER,
        '_BY_CALLER = Attr("st").ne("copying")',
        "test_a_run_that_has_expired_takes_no_more_words",
        "test_lines_of_a_run_that_has_expired_are_not_deleted_one_by_one",
    ),
    _mutant(
        "a word is stored in a run that is being copied into",
        "architecture.md: a copied run is seen when it is whole",
        BY_CALLER,
        '_BY_CALLER = Attr("dr").eq("caller")',
        "test_words_are_kept_from_a_run_that_is_being_copied_into",
    ),
    _mutant(
        "an update of a run asks not who drives it",
        "architecture.md: a copied run is seen when it is whole",
        'known = _BY_CALLER & Attr("sq").eq(before.seq)',
        'known = Attr("sq").eq(before.seq)',
        "test_words_are_kept_from_a_run_that_is_being_copied_into",
    ),
    _mutant(
        "lines are deleted of whatever run",
        "§2 one driver per run",
        "self._table.write([Check(keys.run(run_id), _BY_CALLER), Delete(key)])",
        "self._table.write([Delete(key)])",
        "test_lines_of_a_run_that_has_expired_are_not_deleted_one_by_one",
    ),
    _mutant(
        "an event overwrites another",
        "§2 every event under this key is free",
        "Put(commit_item(telling.run_id, [record], expires_s=after.expires_s), NEW) for record",
        "Put(commit_item(telling.run_id, [record], expires_s=after.expires_s)) for record",
        "test_two_events_of_one_time_are_two",
    ),
    _mutant(
        "a run's item is written whatever was said of it meanwhile",
        "§2 the run's item becomes the fold",
        'known = _BY_CALLER & Attr("sq").eq(before.seq)',
        "known = _BY_CALLER",
        "test_of_two_ends_one_is_taken",
    ),
    _mutant(
        "of two first words one is lost",
        "§2 created under not there yet",
        "return Put(run_item(after), NEW)",
        "return Put(run_item(after))",
        "test_of_two_first_words_both_are_told",
    ),
    _mutant(
        "of two first words about a step one is lost",
        "§2 the step's item becomes the fold",
        'known: Condition = NEW if before is None else Attr("sq").eq(before.seq)',
        f'known: Condition = {ALWAYS} if before is None else Attr("sq").eq(before.seq)',
        "test_who_schedules_a_step_that_another_has_scheduled_meanwhile_tells_of_both",
    ),
    _mutant(
        "a step's item is written whatever was said of it meanwhile",
        "§2 the step's item becomes the fold",
        'known: Condition = NEW if before is None else Attr("sq").eq(before.seq)',
        f"known: Condition = NEW if before is None else {ALWAYS}",
        "test_of_two_reports_one_is_taken",
    ),
    _mutant(
        "who brings a step back into the lists overwrites what was said of it",
        "§2 the step's item becomes the fold",
        'self._table.write([Put(caller_step_item(run, step), Attr("sq").eq(step.seq))])',
        "self._table.write([Put(caller_step_item(run, step))])",
        "test_who_brings_a_step_back_into_the_lists_overwrites_nothing_of_it",
    ),
    _mutant(
        "that all steps are listed is noted for another attempt",
        "architecture.md: until they have, the run says so",
        'noted = Update(keys.run(run.run_id), Attr("sq").eq(run.seq), remove=frozenset({"rv"}))',
        'noted = Update(keys.run(run.run_id), None, remove=frozenset({"rv"}))',
        "test_the_note_that_all_steps_are_listed_comes_too_late_for_another_attempt",
    ),
)

COPIES = (
    _mutant(
        "no new id is taken for a copy",
        "architecture.md: a copied run",
        FREE,
        'free = Attr("st").eq("copying") | unspoken',
        "test_a_copy_takes_a_new_id_and_one_that_is_only_initialized",
    ),
    _mutant(
        "an interrupted copy is not repeated",
        "architecture.md: repeated where they were interrupted",
        FREE,
        "free = NEW | unspoken",
        "test_an_interrupted_copy_is_repeated",
    ),
    _mutant(
        "no initialized id is taken for a copy",
        "architecture.md: a copied run",
        FREE,
        'free = NEW | Attr("st").eq("copying")',
        "test_a_copy_takes_a_new_id_and_one_that_is_only_initialized",
    ),
    _mutant(
        "a copy takes the id of a run of which something was said",
        "architecture.md: the first word fixes who drives it",
        'unspoken = Attr("st").eq("reserved") & Attr("sq").eq(UNSPOKEN)',
        'unspoken = Attr("st").eq("reserved")',
        "test_a_copy_takes_no_id_of_which_something_was_said",
    ),
    _mutant(
        "a copy takes the id of a run of the engine's",
        "§2 one driver per run, for ever",
        'unspoken = Attr("st").eq("reserved") & Attr("sq").eq(UNSPOKEN)',
        'unspoken = Attr("sq").eq(UNSPOKEN)',
        "test_a_copy_takes_no_id_of_a_run_of_the_engines",
    ),
    _mutant(
        "a copier that was overtaken goes on",
        "architecture.md: every part asks for the copier's nonce",
        "mine = Check(place, Attr(NONCE).eq(nonce))",
        "mine = Check(place, Attr(NONCE).exists())",
        "test_of_two_copies_one_is_refused[memory-TransactWriteItems]",
    ),
    _mutant(
        "a copier that was overtaken ends its copy",
        "architecture.md: every part asks for the copier's nonce",
        "self._table.write([Put(item, Attr(NONCE).eq(nonce))])",
        "self._table.write([Put(item)])",
        "test_of_two_copies_one_is_refused[memory-PutItem]",
    ),
)

FOREIGN = (
    _mutant(
        "what somebody adds to a run of the engine's may be later than its end",
        "architecture.md: events of others",
        "Check(key, _GOES_ON | in_its_time)",
        f"Check(key, {ALWAYS})",
        "test_nothing_is_added_after_the_end_of_a_run_of_the_engines",
    ),
    _mutant(
        "what reports ask for may be added to a run that has ended without their knowing",
        "architecture.md: runs that have ended",
        "Check(key, _GOES_ON)",
        f"Check(key, {ALWAYS})",
        "test_what_reports_ask_for_is_told_though_a_run_ends_before_it_is_added",
    ),
    _mutant(
        "what reports ask for may be later than the end of a run of the engine's",
        "architecture.md: events of others",
        'in_its_time = keys.run(run.run_id), Attr("te").gt(int(event.timestamp_us))',
        f"in_its_time = keys.run(run.run_id), {ALWAYS}",
        "test_nothing_is_added_after_the_end_of_a_run_of_the_engines",
    ),
    _mutant(
        "nothing is added to a run of the engine's that goes on",
        "architecture.md: events of others",
        "Check(key, _GOES_ON | in_its_time)",
        "Check(key, in_its_time)",
        "test_two_events_of_others_of_one_time_are_two",
    ),
    _mutant(
        "nothing is added to a run of the engine's that has ended",
        "architecture.md: events of others",
        "Check(key, _GOES_ON | in_its_time)",
        "Check(key, _GOES_ON)",
        "test_what_happened_before_the_end_of_a_run_of_the_engines_is_added",
    ),
    _mutant(
        "what somebody adds overwrites what another has added",
        "§5 foreign events: this key is free, else + m",
        "Put(record, NEW)])",
        "Put(record)])",
        "test_two_events_of_others_of_one_time_are_two",
    ),
)

CONDITIONS_OF_CALLERS = (*ENDS, *WORDS, *COPIES, *FOREIGN)
