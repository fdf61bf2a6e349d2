"""Built-in images that need no network: `python -m pipeline.data.builtin OUT [--seed 0]`."""
