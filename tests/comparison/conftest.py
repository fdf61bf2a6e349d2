"""Hand-made tables."""

from small_worlds import table_of  # noqa: F401
