"""The data of the domain as frozen models: events, states, workflows. No I/O, no rule of how a run moves."""
