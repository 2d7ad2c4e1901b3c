"""What keeps steps of pools with their workers (architecture.md), each taken away."""

from __future__ import annotations

from mutants.mutant import Mutant

TESTS = "clauses/test_pools.py::"
OWN, HANDED, MET = "a pool's steps are its workers' alone", "handed over in the commit", "no sweep meets what waits"
ORDER, KNOWN = "higher priority first, then the longest waiting", "pools are remembered first"
QUEUE, ADVANCE, LEDGER, DUE = "operations/queue.py", "engine/advance.py", "dynamodb/ledger.py", "dynamodb/due.py"


def _mutant(name: str, clause: str, place: str, text: str, instead: str, *tests: str) -> Mutant:
    return Mutant(name, f"architecture.md: {clause}", place, text, instead, tuple(TESTS + test for test in tests))


POOLS = (
    _mutant(
        "a claim asks not for which pool",
        OWN,
        "dynamodb/changes.py",
        'return _as_known("po", known.pool)',
        'return Attr("never").not_exists()',
        "test_a_step_of_a_pool_is_its_workers_alone",
    ),
    _mutant(
        "a claim in the index alone is enough for Lambda",
        OWN,
        QUEUE,
        "sorted((live for live in found if live.branch.pool is None), key",
        "sorted((live for live in found), key",
        "test_a_branch_that_owes_is_paid_by_the_sweep_before_it_waits_for_its_pool",
    ),
    _mutant(
        "a step is nobody's in particular",
        OWN,
        ADVANCE,
        "        pool=definition.executor,\n",
        "        pool=None,\n",
        "test_a_step_of_a_pool_is_its_workers_alone",
    ),
    _mutant(
        "a claim by name asks not for which pool",
        OWN,
        "operations/worker_protocol.py",
        "    if step.executor == pool:\n",
        "    if True:\n",
        "test_a_claim_by_name_says_for_which_pool",
    ),
    _mutant(
        "who completes a step starts the next one, whosever it is",
        HANDED,
        ADVANCE,
        "if claimant is None or is_delayed or claimant.pool != scheduled.pool:",
        "if claimant is None or is_delayed:",
        "test_a_step_is_handed_over_to_whom_it_belongs",
    ),
    _mutant(
        "a step of a pool is called out for Lambda",
        HANDED,
        "operations/after_commit.py",
        '(branch.status == "scheduled" and branch.pool is None)',
        'branch.status == "scheduled"',
        "test_a_step_is_handed_over_to_whom_it_belongs",
        "test_a_fork_calls_out_only_what_waits_for_no_pool",
    ),
    _mutant(
        "what comes from a pool is called out again only after a lease",
        HANDED,
        ADVANCE,
        "        branch = replace(branch, due_us=writer.now_us + facts.timing.grace_us)\n",
        "        pass\n",
        "test_a_step_that_is_handed_over_to_lambda_is_called_out_again_after_a_grace",
    ),
    _mutant(
        "a message that comes early is sent again for a step of a pool",
        HANDED,
        "operations/steps.py",
        "not _waits(wanted, refused.now) or refused.now.pool != wanted.pool:",
        "not _waits(wanted, refused.now):",
        "test_a_retry_waits_for_the_pool_and_for_its_time",
    ),
    _mutant(
        "what waits for a pool lies where the sweep looks",
        MET,
        "dynamodb/items.py",
        "if (pool := branch.awaited_pool) is not None:",
        "if (pool := branch.awaited_pool) is not None and False:",
        "test_what_waits_for_a_pool_is_met_by_no_sweep",
    ),
    _mutant(
        "what owes lies where no sweep looks",
        "what owes is the sweep's to pay",
        "engine/state.py",
        'return self.pool if self.status == "scheduled" and self.owed is None else None',
        'return self.pool if self.status == "scheduled" else None',
        "test_a_branch_that_owes_is_paid_by_the_sweep_before_it_waits_for_its_pool",
    ),
    _mutant(
        "the sweep calls out a step of a pool whose debts it has paid",
        MET,
        "operations/attention.py",
        "        if branch.pool is not None:  # it lies with its pool, whose workers look for themselves\n"
        "            return\n",
        "",
        "test_a_branch_that_owes_is_paid_by_the_sweep_before_it_waits_for_its_pool",
    ),
    _mutant(
        "a claim leaves what it took with the pool, where it comes first",
        "who takes a step is looked at within a lease",
        LEDGER,
        "        moves = moves or branch.pool is not None\n",
        "",
        "test_whoever_takes_a_step_of_a_pool_is_looked_at_within_a_lease",
    ),
    _mutant(
        "a claim leaves what it took with the pool",
        "who takes a step is looked at within a lease",
        LEDGER,
        "place: Item = {keys.DUE_SHARD: keys.due(run_id), keys.DUE_TIME: look_us} if moves else {}",
        "place: Item = {keys.DUE_TIME: look_us} if moves else {}",
        "test_whoever_takes_a_step_of_a_pool_is_looked_at_within_a_lease",
    ),
    _mutant(
        "lower priority first",
        ORDER,
        "dynamodb/keys.py",
        "return (LARGEST_WHOLE - (-LARGEST_WHOLE if priority is None else priority)) * _TIMES + available_us",
        "return (LARGEST_WHOLE + (-LARGEST_WHOLE if priority is None else priority)) * _TIMES + available_us",
        "test_what_comes_first_is_claimed_first",
    ),
    _mutant(
        "what is not due yet is the last that is looked at",
        ORDER,
        DUE,
        "begin = keys.rank_below(entry.due_us)",
        "begin = None",
        "test_what_is_not_due_yet_holds_nothing_up",
    ),
    _mutant(
        "what is not due yet is listed with its pool",
        ORDER,
        DUE,
        "if keys.available_us_of(entry.due_us) > until_us:",
        "if False:",
        "test_who_looks_at_what_waits_reads_nothing_that_is_not_due",
    ),
    _mutant(
        "a worker gets steps of whatever workflow",
        "the workflow that is asked for",
        QUEUE,
        "return (live for live in found if workflow_slug in (None, live.run.workflow_slug))",
        "return (live for live in found)",
        "test_one_workflow_is_asked_for",
    ),
    _mutant(
        "what waits for a pool is not listed",
        KNOWN,
        QUEUE,
        "entries = chain(self._entries(until_us), waiting)",
        "entries = self._entries(until_us)",
        "test_the_contracts_operations_know_of_steps_of_pools",
    ),
    _mutant(
        "what waits for a pool is not live",
        KNOWN,
        DUE,
        "places = (*keys.due_shards(among), *pools, *keys.call_shards(among))",
        "places = (*keys.due_shards(among), *keys.call_shards(among))",
        "test_the_contracts_operations_know_of_steps_of_pools",
    ),
    _mutant(
        "a version is stored before its pools are remembered",
        KNOWN,
        "operations/registry.py",
        "        self._remember_pools(version.steps)\n        self._put_version(version)\n",
        "        self._put_version(version)\n        self._remember_pools(version.steps)\n",
        "test_a_pool_is_remembered_before_there_are_steps_for_it",
    ),
    _mutant(
        "who registers a pool believes what it has read before",
        KNOWN,
        "dynamodb/shards.py",
        "        _read.pop(table, None)\n",
        "",
        "test_who_registers_a_pool_lists_it_at_once",
    ),
    _mutant(
        "of a version that a caller stores no pools are remembered",
        KNOWN,
        "operations/registry.py",
        "        self._remember_pools(version.steps)\n        registry.put_version(self._table, version)\n",
        "        registry.put_version(self._table, version)\n",
        "test_steps_of_a_version_that_a_caller_has_stored_are_listed_too",
    ),
    _mutant(
        "who waits looks once",
        "a claim waits for as long as it was told",
        "operations/worker_protocol.py",
        "            if left_us <= 0:\n                return None\n",
        "            if True:\n                return None\n",
        "test_who_waits_gets_what_comes_meanwhile",
    ),
    _mutant(
        "who waits looks as often to the end",
        "a claim that waits looks ever less often",
        "operations/worker_protocol.py",
        "return min(_LONGEST_PAUSE_US, _FIRST_PAUSE_US + looks * _FIRST_PAUSE_US // 2)",
        "return _FIRST_PAUSE_US",
        "test_who_waits_for_nothing_looks_ever_less_often",
    ),
)
