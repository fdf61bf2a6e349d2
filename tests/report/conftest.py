"""Fixtures that the numbers and the pages share."""

from small_worlds import *  # noqa: F403
