"""The page at /: drop an image, see class, score and threshold; it loads nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

CONTENT = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")


def _hash(tag: str) -> str:
    """The policy's name of the one element of this tag, by its content."""
    found = re.findall(f"<{tag}>(.*?)</{tag}>", CONTENT, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
    return f"'sha256-{digest}'"


POLICY = (
    f"default-src 'none'; script-src {_hash('script')}; style-src {_hash('style')}; img-src blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The header Content-Security-Policy: only this script and this style run, and only this server is asked."""
