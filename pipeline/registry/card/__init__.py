"""The model card of a version: what was tracked of it, as JSON and as Markdown. Nothing in it is written by hand."""
