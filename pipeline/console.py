"""One way to print, on a terminal and in a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LOG_WIDTH = 110  # columns, where the output is no terminal


def make_console() -> Console:
    """Standard output; as wide as the terminal, or `LOG_WIDTH`."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


def say(line: str, console: Console) -> None:
    """Print a line as it is: no colour, no markup (names may hold brackets), no wrapping."""
    console.print(line, highlight=False, soft_wrap=True, markup=False)


def plain_table(*columns: str, words: int = 1, title: str | None = None) -> Table:
    """An empty table as all of ours look.

    Args:
        columns: their headings.
        words: how many columns, from the left, hold words; the others hold numbers and are aligned right.
        title: above the table.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for position, column in enumerate(columns):
        # A heading may be a folder's name, which is no markup, and which must not be cut.
        table.add_column(Text(column), justify="left" if position < words else "right", overflow="fold")
    return table
