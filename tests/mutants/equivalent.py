"""Mutants by rule that no test can tell from the product, by module and change; and why."""

from __future__ import annotations

_ONLY_DEARER = "the same tail is packed to the same bytes: packing it is only dearer"

EQUIVALENT: dict[tuple[str, str], str] = {
    ("dynamodb/changes.py", "never: if before.tail == after.tail: → if False:"): _ONLY_DEARER,
    ("dynamodb/due.py", "one_more: 1 → 2"): "two entries are read where the first is asked for",
    ("dynamodb/ledger.py", "nothing_returned: return False → return None"): "None is as false",
    ("operations/batches.py", "other_truth: True → False"): "each run has a place behind it: both lists are as long",
    ("operations/patience.py", "one_more: 10 → 11"): "the longest pause comes long before that",
}
