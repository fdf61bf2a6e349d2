"""What is on disk: folders to a manifest, the quality gate, splits, leakage."""
