"""The key under which an outside system takes a step's effect for the same effect, however often it is asked for."""

from __future__ import annotations

import json
from uuid import UUID, uuid5

from cascade_flow.model.parts import CheckpointRef

_NAMESPACE = UUID("66395254-9d1e-4c88-bcda-828e28447db7")


def idempotency_key(workflow_slug: str, first_run_id: str, step_id: str, checkpoint: CheckpointRef | None) -> str:
    """A UUID, the same for every attempt of a step and of its checkpoint, in all runs that go on from the first one.

    A UUID, since of what payment services take as a key it is what all of them take.
    """
    inside = [] if checkpoint is None else [checkpoint.name, checkpoint.sequence_number]
    return str(uuid5(_NAMESPACE, json.dumps([workflow_slug, first_run_id, step_id, *inside])))
