"""The contract of `cascade_flow.Backend`: one body of tests for every DynamoDB server, through its operations only.

What a run left is held against the promises when its test ends (fixture `backend`). Races are `tests/races`.
"""
