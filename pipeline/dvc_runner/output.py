"""What `dvc` prints while it works: passed on, searched for what became of the stage, and cut down to an error."""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Callable

from pipeline.storage import explain_text

TAIL_LINES = 20  # kept to find an error in
_MAX_ERROR = 500  # characters
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ADVICE = re.compile(r"^((Updating|Generating) lock file '|To track the changes with git)", re.MULTILINE)


class Listener:
    """Passes output on as it comes, but for DVC's closing advice, and keeps its last lines.

    Attributes:
        executed: DVC ran the stage's command.
        restored: DVC took the stage's outputs from its cache.
    """

    def __init__(self, write: Callable[[str], object] | None) -> None:
        """write: gets the output; None to drop it."""
        self._write = write
        self._lines: deque[str] = deque(maxlen=TAIL_LINES)
        self._open = ""  # the line that is not finished yet
        self._advice: str | None = None  # what follows once DVC has written its own files, the same each time
        self.executed = self.restored = False

    def hear(self, text: str) -> None:
        """Take the next piece of output, which may end within a line."""
        *whole, self._open = (self._open + text).split("\n")
        for line in whole:
            self._note(_COLOUR.sub("", line).rpartition("\r")[2] if not line.endswith("\r") else line.rstrip("\r"))
        if self._advice is not None:
            self._advice += text
        elif advice := _ADVICE.search(text):
            self._pass(text[: advice.start()])
            self._advice = text[advice.start() :]
        else:
            self._pass(text)

    def close(self, *, failed: bool) -> None:
        """Take the end of the output; after a failure the advice may explain it, so it is passed on."""
        if self._open:
            self._note(_COLOUR.sub("", self._open))
        if failed and self._advice:
            self._pass(self._advice)

    def text(self) -> str:
        """The last TAIL_LINES lines, without colours."""
        return "\n".join(self._lines)

    def _note(self, line: str) -> None:
        self._lines.append(line)
        if line.startswith("Running stage '"):
            self.executed = True
        elif line.startswith("Stage '") and "is cached - skipping run" in line:
            self.restored = True

    def _pass(self, text: str) -> None:
        if self._write and text:
            with contextlib.suppress(BrokenPipeError):  # `croft run | head` must not end the stage half-way
                self._write(text)


def error_line(text: str) -> str:
    """The last line that DVC marks as an error, and what to do about it where DVC does not say; "" without one."""
    marked = [line.removeprefix("ERROR:").strip() for line in lines(text) if line.startswith("ERROR:")]
    return with_advice("".join(marked[-1:])[:_MAX_ERROR])


def with_advice(message: str) -> str:
    """A message of DVC, with what to do about a project without git."""
    if message.endswith("is not a git repository"):
        return f"{message}; run `git init` there, or `dvc config --local core.no_scm true` to work without git"
    return message


def reason(text: str) -> str:
    """Why DVC failed: a disk that it cannot write to, its error, or else its last line."""
    return explain_text(text) or error_line(text) or "".join(lines(text)[-1:])[:_MAX_ERROR]


def lines(text: str) -> list[str]:
    """The lines that hold something, without colours."""
    return [line.strip() for line in _COLOUR.sub("", text).splitlines() if line.strip()]
