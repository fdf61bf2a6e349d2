"""Frozen CLIP: loading, prompts, views, encoding and the store of embeddings."""
