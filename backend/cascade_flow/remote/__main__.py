"""A slot of a worker, started by it."""

from __future__ import annotations

from cascade_flow.remote.slot import main

main()
