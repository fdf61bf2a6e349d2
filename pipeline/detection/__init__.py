"""Open-set detection: scores of logits, thresholds, and metrics. Larger score = more open-set, everywhere."""
