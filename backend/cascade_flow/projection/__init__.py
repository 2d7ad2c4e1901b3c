"""The one fold: events in, states out. Used to replay history and to advance what is stored; decides nothing.

Each state machine is a table, event type → small function; an event that a table doesn't list changes nothing.
"""

from cascade_flow.projection.attempts import current_attempt_number, extract_attempt_metadata, extract_logs
from cascade_flow.projection.record import project_step_record
from cascade_flow.projection.run import evolve_run, project_run_state, version_id_of
from cascade_flow.projection.step import evolve_step, project_step_state
from cascade_flow.projection.transitions import changes_state

__all__ = [
    "changes_state",
    "current_attempt_number",
    "evolve_run",
    "evolve_step",
    "extract_attempt_metadata",
    "extract_logs",
    "project_run_state",
    "project_step_record",
    "project_step_state",
    "version_id_of",
]
