"""Mistakes of the kind that a person makes in the pure engine, which nothing noticed when they were first planted."""

from __future__ import annotations

from mutants.mutant import Mutant
from mutants.people import MISTAKE

_DECIDE, _ADVANCE, _JOINS, _RUNS = "engine/decide.py", "engine/advance.py", "engine/joins.py", "engine/runs.py"
_STOP, _CALLER = "engine/stop.py", "engine/caller.py"
_DECISIONS, _FENCES = "unit/engine/test_decisions.py::", "unit/engine/test_caller_fences.py::"
_OF_RUNS, _OF_JOINS = "unit/engine/test_runs.py::", "unit/engine/test_joins.py::"


def _mistake(name: str, place: str, text: str, instead: str, test: str) -> Mutant:
    return Mutant(f"{name} ({place.partition('/')[2]})", MISTAKE, place, text, instead, (test,))


def _none(name: str, place: str, text: str, instead: str, why: str) -> Mutant:
    return Mutant(f"{name} ({place.partition('/')[2]})", MISTAKE, place, text, instead, equivalent=why)


PEOPLE_IN_THE_ENGINE = (
    _mistake(
        "a skip is told of the first attempt",
        _DECIDE,
        "        attempt_number=branch.attempt,\n    )\n    skipped",
        "        attempt_number=1,\n    )\n    skipped",
        f"{_DECISIONS}test_a_step_is_skipped_that_nobody_has_begun",
    ),
    _mistake(
        "a failure's place counts over a run's retry",
        _DECIDE,
        "    place = place_of(tiers, branch.tried)\n    delay",
        "    place = place_of(tiers, branch.attempt)\n    delay",
        f"{_DECISIONS}test_a_step_fails_and_is_tried_again",
    ),
    _mistake(
        "a delay counts over a run's retry",
        _DECIDE,
        "delay_ms(tiers, branch.tried, chance",
        "delay_ms(tiers, branch.attempt, chance",
        f"{_DECISIONS}test_a_step_fails_and_is_tried_again",
    ),
    _mistake(
        "a failure that is tried again rides in the tail",
        _DECIDE,
        "retry_delay_ms=delay, logged=True",
        "retry_delay_ms=delay, logged=False",
        f"{_DECISIONS}test_a_step_fails_and_is_tried_again",
    ),
    _mistake(
        "tries are exhausted over a run's retry",
        _DECIDE,
        "and branch.tried > 1\n",
        "and branch.attempt > 1\n",
        f"{_DECISIONS}test_one_try_exhausts_nothing",
    ),
    _mistake(
        "one try exhausts all",
        _DECIDE,
        " and branch.tried > 1\n",
        "\n",
        f"{_DECISIONS}test_one_try_exhausts_nothing",
    ),
    _mistake(
        "a stop does not say that tries are exhausted",
        _DECIDE,
        "error=command.error, reason=reason)",
        "error=command.error, reason=command.reason)",
        f"{_DECISIONS}test_one_try_exhausts_nothing",
    ),
    _mistake(
        "what has failed is due",
        _DECIDE,
        'status="failed", due_us=None)',
        'status="failed")',
        f"{_DECISIONS}test_a_step_fails_for_good",
    ),
    _mistake(
        "a worker is silent for less than no time",
        _DECIDE,
        "stale_duration_us=max(0, writer.now_us - seen_us)",
        "stale_duration_us=writer.now_us - seen_us",
        f"{_DECISIONS}test_nobody_was_silent_for_less_than_no_time",
    ),
    _mistake(
        "a crash takes less than no time",
        _DECIDE,
        "max(0, duration_us))",
        "duration_us)",
        f"{_DECISIONS}test_nobody_was_silent_for_less_than_no_time",
    ),
    _mistake(
        "who has told something is silent",
        _DECIDE,
        "(branch.heartbeat_us, branch.started_at_us, branch.last_us)",
        "(branch.heartbeat_us, branch.started_at_us)",
        f"{_DECISIONS}test_a_worker_was_last_heard_of_with_the_newest_that_it_said",
    ),
    _mistake(
        "a checkpoint leaves the branch's last time",
        _DECIDE,
        "snapshot=None, last_us=writer.last_us)",
        "snapshot=None)",
        f"{_DECISIONS}test_a_checkpoint_is_kept",
    ),
    _mistake(
        "a revival forgets what the lost attempt left",
        _DECIDE,
        "    writer.take_in(branch)\n    writer.last_us = max(writer.last_us, facts",
        "    writer.last_us = max(writer.last_us, facts",
        f"{_DECISIONS}test_what_lost_its_worker_with_the_run_is_scheduled_again",
    ),
    _mistake(
        "a reclaim is tried again while its run fails",
        _DECIDE,
        "    if _goes_on(facts, branch) and may_retry(facts",
        "    if may_retry(facts",
        f"{_DECISIONS}test_what_may_not_go_on_is_not_tried_again",
    ),
    _mistake(
        "a fork rides in the tail",
        _ADVANCE,
        "bool(raises or births)",
        "bool(raises)",
        f"{_DECISIONS}test_a_fork_that_is_wide_owes_what_one_transaction_cannot_put",
    ),
    _mistake(
        "whether a fork gives way is asked of where its parent stands",
        _ADVANCE,
        "origin=parent.skipped.get(step)",
        "origin=parent.skipped.get(parent.step)",
        "unit/engine/test_advance.py::test_what_is_owed_gives_way_where_its_dependency_was_skipped",
    ),
    _mistake(
        "what is parked is due",
        _ADVANCE,
        'status="parked", due_us=None)',
        'status="parked")',
        f"{_DECISIONS}test_a_step_completes_and_nothing_follows",
    ),
    _mistake(
        "what is parked rides in the tail",
        _ADVANCE,
        "            tuple(writer.events),\n            logged=True,",
        "            tuple(writer.events),",
        f"{_DECISIONS}test_a_step_completes_and_nothing_follows",
    ),
    _mistake(
        "what has ended belongs to a pool",
        _ADVANCE,
        'status="ended", pool=None)',
        'status="ended")',
        f"{_DECISIONS}test_what_ends_belongs_to_no_pool",
    ),
    _mistake(
        "slot and concurrency are swapped",
        _ADVANCE,
        "slot_index=claimant.slot_index,\n        worker_concurrency=claimant.worker_concurrency",
        "slot_index=claimant.worker_concurrency,\n        worker_concurrency=claimant.slot_index",
        f"{_DECISIONS}test_a_step_completes_and_its_worker_goes_on",
    ),
    _mistake(
        "who goes on in its pool is looked at after a grace",
        _ADVANCE,
        "if branch.pool is not None and facts.graph.step(following).executor is None:",
        "if branch.pool is not None:",
        f"{_DECISIONS}test_who_leaves_a_pool_for_lambda_is_looked_at_after_a_grace",
    ),
    _mistake(
        "what a worker gives back counts as a try",
        _DECIDE,
        "left = branch.untried if command.released else branch",
        "left = branch",
        f"{_DECISIONS}test_what_a_worker_gives_back_was_no_try",
    ),
    _mistake(
        "who fell silent has tried nothing",
        _DECIDE,
        "left = branch.untried if command.released else branch",
        "left = branch.untried",
        f"{_DECISIONS}test_the_last_try_fails_with_its_worker",
    ),
    _mistake(
        "a release asks for a branch that never was",
        _DECIDE,
        "        return replace(again, before=branch)",
        "        return again",
        f"{_DECISIONS}test_what_a_worker_gives_back_was_no_try",
    ),
    _mistake(
        "a join has no priority",
        _JOINS,
        "        priority=facts.priority,\n",
        "",
        f"{_OF_JOINS}test_a_join_opens",
    ),
    _mistake(
        "a join is later than the first that arrived",
        _JOINS,
        "*(branch.last_us for branch in branches.values())]",
        "*(branch.last_us for branch in [*branches.values()][-1:])]",
        f"{_OF_JOINS}test_a_join_opens",
    ),
    _mistake(
        "a run takes less than no time",
        _RUNS,
        "duration_us=max(0, writer.now_us - facts.started_at_us)",
        "duration_us=writer.now_us - facts.started_at_us",
        f"{_OF_RUNS}test_a_run_completes",
    ),
    _mistake(
        "no input was validated",
        _RUNS,
        "WorkflowInputValidation, has_schema=has_schema,",
        "WorkflowInputValidation, has_schema=False,",
        f"{_OF_RUNS}test_a_run_that_is_due_starts_with_its_submission",
    ),
    _mistake(
        "every run has an input",
        _RUNS,
        "        has_input=has_input,\n        workflow_attempt",
        "        has_input=True,\n        workflow_attempt",
        f"{_OF_RUNS}test_what_is_left_out_is_nobodys_invention",
    ),
    _mistake(
        "a run that is tried again has no schema",
        _RUNS,
        'has_input_schema=submitted["hasInputSchema"]',
        "has_input_schema=False",
        f"{_OF_RUNS}test_an_ended_run_is_started_again",
    ),
    _none(
        "an input that is none counts as one",
        _RUNS,
        'has_input=submitted.get("input") is not None',
        'has_input="input" in submitted',
        "what is absent is left out of a record",
    ),
    _mistake(
        "a stopped run takes less than no time",
        _STOP,
        "max(0, writer.now_us - (run.started_at_us or writer.now_us))",
        "writer.now_us - (run.started_at_us or writer.now_us)",
        "unit/engine/test_stop.py::test_a_run_that_is_stopped_by_who_is_behind_took_no_time",
    ),
    _none(
        "a step that nobody has claimed is held by everybody",
        _CALLER,
        "if worker not in (None, step.state.claimed_by):",
        "if worker not in (None, step.state.claimed_by) and step.state.claimed_by:",
        "a step that runs was begun by a worker, whom its StepStarted names",
    ),
    _mistake(
        "what nobody has begun is given up after the run's end",
        _CALLER,
        "        must_go_on(known_run)\n    else:",
        "        pass\n    else:",
        f"{_FENCES}test_nobody_speaks_of_a_run_that_has_ended",
    ),
    _mistake(
        "a caller's run has no priority",
        _CALLER,
        "priority=event.priority,",
        "priority=0,",
        f"{_FENCES}test_a_submission_is_taken_over_whole",
    ),
    _mistake(
        "a time that no index holds is stored",
        _CALLER,
        "within_time(ceil(event.available_at_us))",
        "ceil(event.available_at_us)",
        f"{_FENCES}test_a_run_is_available_within_the_times_that_an_index_holds",
    ),
)
