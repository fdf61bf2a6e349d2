"""A request that is not answered: its HTTP status and one line for the client."""

from __future__ import annotations


class RefusalError(Exception):
    """Becomes an answer with `status` and {"error": message}.

    Args:
        status: of HTTP.
        message: one line: what is wrong, what was expected.
        headers: of the answer.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}


def busy(message: str, seconds: int = 1) -> RefusalError:
    """503: the same request can be answered later."""
    return RefusalError(503, message, {"Retry-After": str(seconds)})
