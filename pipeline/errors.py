"""Named errors: what a person can act on ends as one line and exit status 2, never as a traceback."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(?<=://)[^/\s'\"]*@")
_IN_QUERY = re.compile(r"(?i)([?&][^=&\s]*(?:passw|pwd|secret|token|key)[^=&\s]*=)[^&\s'\"]+")


def without_credentials(text: str) -> str:
    """The text with user and password of every URL in it cut out, and what its query calls a secret replaced by ***."""
    return _IN_QUERY.sub(r"\1***", _CREDENTIALS.sub("", text))


class CroftError(Exception):
    """Base of every error that a user can act on; the message is one line: what, where, what to do.

    Messages quote what libraries say, and those quote URLs: credentials are cut out here, for all of them.
    """

    def __init__(self, message: object = "") -> None:
        """message: its credentials, if any, are not kept."""
        super().__init__(without_credentials(str(message)))


class ParamsError(CroftError):
    """A key or a value in params.yaml (or a setting made of it) is wrong."""


class DataError(CroftError):
    """A file, folder or table of the data set is missing, damaged or too small."""


class CheckpointError(CroftError):
    """Model weights are missing, unreadable or do not fit the model."""


class DeviceError(CroftError):
    """The requested device or execution provider is not available."""


class ParityError(CroftError):
    """The exported graph and the reference disagree beyond the tolerance."""


class GateError(CroftError):
    """A model version does not pass, or cannot be put through, the promotion gate."""


class TrackingError(CroftError):
    """The tracking server or registry cannot be reached or does not have what was requested."""


class PipelineError(CroftError):
    """A stage or tool that this process started has failed."""


class ServerLostError(PipelineError):
    """A server stopped answering; the process ends without waiting for what can no longer be sent."""


def one_line(error: BaseException) -> str:
    """What a library's error says, in one line; its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def report(error: BaseException, message: str = "") -> str:
    """What to print of an error that ends a command: "error: ..." first, then a line "note: ..." for each of its notes.

    Args:
        error: its notes (`BaseException.add_note`) say what failed because of it.
        message: instead of the error's own.
    """
    notes = [f"note: {note}" for note in getattr(error, "__notes__", ())]
    return "\n".join([f"error: {message or error}", *notes])
