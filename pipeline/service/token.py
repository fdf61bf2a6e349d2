"""The bearer token that requests must carry."""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from pipeline.errors import ParamsError

TOKEN_VARIABLE = "CROFT_TOKEN"  # noqa: S105  (the name of a variable)
_MAX_BYTES = 4096


def read_token(file: Path | None) -> str:
    """The token in a file, or else in the environment; "" for none.

    Raises:
        ParamsError: the file cannot be read, or the token has other characters than visible ASCII.
    """
    if file is None:
        text, place = os.environ.get(TOKEN_VARIABLE, ""), TOKEN_VARIABLE
        if not text:
            return ""
    else:
        place = f"--token-file {file}"
        try:
            with file.open("rb") as opened:
                text = opened.read(_MAX_BYTES).decode("ascii")
        except OSError as error:
            raise ParamsError(f"{place}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            text = ""
    text = text.strip()
    if not text or not all("!" <= character <= "~" for character in text):
        raise ParamsError(f"{place}: expected one line of visible ASCII characters without spaces")
    return text


def allows(token: str, authorization: bytes) -> bool:
    """Whether a header carries the token; the time does not tell how much of it is right."""
    scheme, _, given = authorization.partition(b" ")
    return hmac.compare_digest(given.strip(), token.encode("ascii")) and scheme.lower() == b"bearer"
