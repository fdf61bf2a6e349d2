"""Two evaluations side by side, of revisions, versions or runs: by how much they differ, and what else does."""
