"""What the protocol marks (M) of undoing (§14.7), each taken away; and what else keeps it whole."""

from __future__ import annotations

from mutants.mutant import Mutant

MARKED = (
    "in reverse order of completion, are one transaction",
    "The parent's state is final: `retry_run` refuses it",
)
"""The words before each (M) in §14.7 of protocol.md."""

TESTS = "clauses/test_undo.py::"
SECTION = "§14.7"
UNDO, RUN_LEDGER, RERUNS = "engine/undo.py", "dynamodb/run_ledger.py", "operations/reruns.py"
READS, LIMITS, GRAPH = "dynamodb/undoing.py", "engine/limits.py", "graph.py"


def _mutant(name: str, clause: str, place: str, text: str, instead: str, *tests: str) -> Mutant:
    return Mutant(name, clause, place, text, instead, tuple(TESTS + test for test in tests))


CHILDREN = "unit/testing/test_undo_of_children.py::"
"""Of these, maps and sub-workflows."""


def _of_children(name: str, place: str, text: str, instead: str, *tests: str) -> Mutant:
    return Mutant(name, SECTION, place, text, instead, tuple(CHILDREN + test for test in tests))


UNDOING = (
    _of_children(
        "a map that was under way is not undone",
        READS,
        "        if (map_id := _under_way(item)) is not None:\n",
        "        if (map_id := None) is not None:\n",
        "test_a_map_that_fails_is_undone_with_what_had_completed",
    ),
    _of_children(
        "a run is tried again of which a part has undone itself",
        "operations/retries.py",
        "        if undone_below(self._runtime, run, run.run_id):\n",
        "        if False:\n",
        "test_a_run_of_a_sub_workflow_that_fails_undoes_itself_and_is_final",
    ),
    _of_children(
        "what a sub-workflow does anew is known by its old key",
        RERUNS,
        "return {**parent.run.renewed, **below, **dict.fromkeys(parent.undone, run_id)}",
        "return {**parent.run.renewed, **dict.fromkeys(parent.undone, run_id)}",
        "test_what_a_sub_workflow_had_done_and_undone_is_done_anew_as_another_effect",
    ),
    _of_children(
        "what failed of a batch is undone",
        "operations/expansion.py",
        "if not (isinstance(item, dict) and FAILED in item)]",
        "]",
        "test_a_map_that_fails_is_undone_with_what_had_completed",
    ),
    _mutant(
        "what undoes a run is born after its end",
        MARKED[0],
        RUN_LEDGER,
        "        writes += _undo_writes(before, status, undo)\n        try:\n            self._table.write(writes)\n",
        "        try:\n            self._table.write(writes)\n"
        "            self._table.write(_undo_writes(before, status, undo))\n",
        "test_who_dies_at_a_runs_end_leaves_both_or_none",
    ),
    _mutant(
        "what is undone is tried again",
        MARKED[1],
        "operations/retries.py",
        "        if run.undone_by is not None:\n",
        "        if False:\n",
        "test_what_is_undone_is_not_tried_again",
    ),
    _mutant(
        "what undoes a run takes another's id",
        SECTION,
        RUN_LEDGER,
        "Put(run_item(run), NEW)",
        "Put(run_item(run))",
        "test_another_runs_id_is_not_taken",
    ),
    _mutant(
        "a failed undo is not noted",
        SECTION,
        RUN_LEDGER,
        'if before.undoing is not None and status == "failed":',
        "if False:",
        "test_its_failure_is_noted_and_it_is_tried_again_by_itself",
    ),
    _mutant(
        "the first that has completed is undone first",
        SECTION,
        UNDO,
        "sorted(completions, reverse=True)",
        "sorted(completions)",
        "test_what_has_completed_is_undone_the_last_first",
    ),
    _mutant(
        "a run is undone for as long as it would have lasted",
        SECTION,
        UNDO,
        "timeout_us=facts.timing.timeout_us,",
        'timeout_us=submitted.get("timeoutUs"),',
        "test_it_lasts_as_long_as_any_run_and_no_longer_than_what_it_undoes_is_stored",
    ),
    _mutant(
        "undoing lasts beyond what is stored",
        SECTION,
        UNDO,
        "min(opening.run.deadline_us, _latest_end_us(facts))",
        "opening.run.deadline_us",
        "test_at_the_end_of_what_is_stored_there_is_little_time",
    ),
    _mutant(
        "an undo that has nothing to do ends all that come after it",
        SECTION,
        GRAPH,
        "dependencies=after, skip_cascades=False)",
        "dependencies=after)",
        "test_an_undo_that_has_nothing_to_do_is_passed_over",
    ),
    _mutant(
        "what a halted branch has in its tail is looked for in the log",
        SECTION,
        READS,
        "commit_us = keys.commit_time_of(str(item[keys.SORT]))",
        "commit_us = keys.commit_time_of(str(item[keys.SORT])) or 1",
        "test_it_undoes_what_the_step_has_given_wherever_that_lies",
    ),
    _mutant(
        "a new run keeps what was undone",
        SECTION,
        RERUNS,
        "there = orderly - parent.undone",
        "there = orderly",
        "test_what_was_undone_is_done_anew_as_another_effect",
    ),
    _mutant(
        "what was undone is done anew under its old key",
        SECTION,
        RERUNS,
        "return {**parent.run.renewed, **below, **dict.fromkeys(parent.undone, run_id)}",
        "return {**parent.run.renewed, **below}",
        "test_what_was_undone_is_done_anew_as_another_effect",
    ),
    _mutant(
        "a new run goes on from one that undoes another",
        SECTION,
        RERUNS,
        "        if history.run.undoing is not None:\n",
        "        if False:\n",
        "test_nothing_goes_on_from_what_undoes",
    ),
    _mutant(
        "who cancels many stops what undoes them",
        SECTION,
        "operations/batches.py",
        "undos=TAG in wanted.tags",
        "undos=True",
        "test_many_are_cancelled_without_those_that_undo",
    ),
    _mutant(
        "what undoes a run counts as one",
        SECTION,
        "operations/runtime.py",
        "hear = self.observer.undoing if facts.undoes else self.observer.committed",
        "hear = self.observer.committed",
        "test_it_counts_as_no_run_of_the_workflow",
    ),
    _mutant(
        "the key of an undo's limit is not taken from the input",
        SECTION,
        LIMITS,
        "for each in (step, step.undo) if each is not None)",
        "for each in (step,))",
        "test_its_steps_are_tried_limited_and_carried_out_as_they_say",
    ),
    _mutant(
        "the pool of an undo is not remembered",
        SECTION,
        "operations/registry.py",
        "for step in each_with_undo(steps) if step.executor is not None",
        "for step in steps if step.executor is not None",
        "test_its_steps_are_tried_limited_and_carried_out_as_they_say",
    ),
)
