"""How the built-in CLIP was trained; its checkpoint and config lie in `pipeline/backbone/small`."""
