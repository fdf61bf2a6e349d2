"""One way to print, on a terminal and in a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

LOG_WIDTH = 110  # columns, where the output is no terminal


def make_console() -> Console:
    """Standard output; as wide as the terminal, or `LOG_WIDTH`."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)
