"""Open-set scores: one file a family, one row of `catalogue` a score."""
