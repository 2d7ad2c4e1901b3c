"""What the engine's operations cost, in requests, units and dollars, beside what peers charge: `make bench`."""
