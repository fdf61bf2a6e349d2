"""Data sets under DVC by name and version: what each version held, and what changed between two of them."""
