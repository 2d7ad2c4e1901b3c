"""All mutants: what breaks clauses, and what takes conditions away."""

from mutants.clauses import CLAUSES
from mutants.conditions import CONDITIONS
from mutants.conditions_of_callers import CONDITIONS_OF_CALLERS

CATALOGUE = (*CLAUSES, *CONDITIONS, *CONDITIONS_OF_CALLERS)
