"""The data of the domain as frozen models: events, states, workflows. No I/O, no rule of how a run moves.

Their annotations are no strings (no `from __future__ import annotations`): pydantic would evaluate each of them again
in every model that inherits it, a seventh of what these modules cost a cold start.
"""
