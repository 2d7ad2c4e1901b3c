"""All mutants."""

from mutants.mutant import Mutant

CATALOGUE: tuple[Mutant, ...] = (
    Mutant("trial", "x", "dynamodb/ledger.py", 'Attr("st").eq("scheduled") & Attr("s").eq(branch.step)', 'Attr("s").eq(branch.step)', ("faults/test_early.py",)),
)
