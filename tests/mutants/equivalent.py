"""Mutants by rule that no test can tell from the product, by module and change; and why."""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str], str] = {
    ("dynamodb/due.py", "one_more: 1 → 2"): "two entries are read where the first is asked for",
    ("dynamodb/ledger.py", "nothing_returned: return False → return None"): "None is as false",
    ("operations/batches.py", "other_truth: True → False"): "each run has a place behind it: both lists are as long",
    ("operations/patience.py", "one_more: 10 → 11"): "the longest pause comes long before that",
}
