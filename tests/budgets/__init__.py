"""What things may cost at the most (design.md §5), in counted requests and units, never in seconds."""
