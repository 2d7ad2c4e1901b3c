"""Mistakes to be planted, one by one, and the directed tests that must fail with each: `make mutants`.

The catalogue is data. A mutant is planted in memory, when the module is imported by the test's own process: the files
of the checkout stay as they are. That the catalogue is whole is `architecture/test_mutants`' matter.
"""
