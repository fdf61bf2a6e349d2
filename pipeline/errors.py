"""Named errors: what a person can act on ends as one line and exit status 2, never as a traceback."""

from __future__ import annotations


class CroftError(Exception):
    """Base of every error that a user can act on; the message is one line: what, where, what to do."""


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
