"""All mutants."""

from mutants.conditions import CONDITIONS

CATALOGUE = CONDITIONS
