"""All judgement, no I/O: what a command makes of a branch or a run.

Nothing here reads a clock, a table or a queue: time and chance are arguments, and what must be written is returned as
frozen data (`Commit`, `Birth`) for the floor below to write in one conditional request.
"""
