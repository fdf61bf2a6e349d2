"""The one batched training loop: many runs as one tensor program on cached features."""
