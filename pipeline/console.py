"""One way to print, on a terminal and in a log."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from pipeline.errors import CroftError, ServerLostError, report
from pipeline.storage import explain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LOG_WIDTH = 110  # columns, where the output is no terminal


def make_console() -> Console:
    """Standard output; as wide as the terminal, or `LOG_WIDTH`."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


@contextlib.contextmanager
def one_line_errors(where: str = "") -> Iterator[None]:
    """End this process with exit status 2 and one line, where the block fails for a reason that a user can mend.

    Args:
        where: comes before a line about a place that cannot be written to, which does not say who wrote.
    """
    try:
        yield
    except CroftError as error:
        _end(report(error), at_once=isinstance(error, ServerLostError))
    except Exception as error:
        line = explain(error)
        if not line:
            raise
        _end(report(error, f"{where}{line}"))


def _end(message: str, *, at_once: bool = False) -> NoReturn:
    with contextlib.suppress(OSError):  # a log on the disk that is full must not hide the message
        sys.stdout.flush()
    print(message, file=sys.stderr, flush=True)
    if at_once:  # at a usual exit, Prefect tries to send each event and line of log that is left, seven seconds each
        os._exit(2)
    sys.exit(2)


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
