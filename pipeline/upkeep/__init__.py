"""The disk of a workspace: what nobody needs any more is found and freed."""
