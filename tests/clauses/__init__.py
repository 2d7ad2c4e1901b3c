"""Directed tests: for each clause of the protocol and each condition of a write one that fails without it.

Each is the shortest interleaving that tells the difference. `mutants` names them, and shows that they fail.
"""
