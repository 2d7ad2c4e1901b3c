"""The house's three rules, walked on every module: the arrow, one door per outside thing, nothing is big."""
