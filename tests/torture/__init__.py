"""The long form of the proof (`make torture`): the slow suites, and chaos on the deployed local stack.

Not collected by the gate: see `__main__` for what it does, docs/reliability.md for what it holds.
"""
