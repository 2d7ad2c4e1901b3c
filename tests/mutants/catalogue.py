"""All mutants."""

from mutants.clauses import CLAUSES
from mutants.conditions import CONDITIONS

CATALOGUE = (*CLAUSES, *CONDITIONS)
