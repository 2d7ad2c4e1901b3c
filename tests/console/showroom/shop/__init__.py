"""A small shop's workflows, for pictures of the console."""
