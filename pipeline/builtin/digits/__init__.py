"""Built-in images that need no network: `python -m pipeline.builtin.digits OUT [--seed 0]`."""
