"""`python -m cascade_flow.cli` is `cascade`."""

from cascade_flow.cli import main

main()
