"""Great Expectations' Data Docs as plain pages: no scripts, nothing fetched, the same bytes for the same data."""

from __future__ import annotations

import re
import shutil
import tempfile
from html import escape
from pathlib import Path
from typing import Any

from pipeline.phrases import counted

_STYLE = Path(__file__).with_suffix(".css")
_INDEX = Path(__file__).with_name("quality_index.html")
# A path of the data set may hold markup; with this policy no browser runs or fetches anything that reaches a page.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_HEAD = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'

_DROPPED = [
    re.compile(pattern, re.DOTALL | re.IGNORECASE)
    for pattern in (
        r"<script\b.*?</script>",
        r"<style\b.*?</style>",
        r"<link\b[^>]*>",
        r"<meta\b[^>]*>",
        r"<title>.*?</title>",
        r"<img\b[^>]*>",
        r"<footer\b.*?</footer>",
        # buttons that filter by script
        r'<div class="card mb-3">\s*<div class="card-header p-2">\s*<strong>Actions</strong>'
        r'.*?(?=<div class="card d-md-block)',
        # the stage records when a page was made; here it would only change the folder's hash
        r"<tr>(?:(?!<tr>|</tr>).)*?>(?:Run Name|Run Time)<(?:(?!<tr>|</tr>).)*?</tr>",
        r"<tr>(?:(?!<tr>|</tr>).)*?>ge_load_time<(?:(?!<tr>|</tr>).)*?</tr>",
    )
]
_TIME = re.compile(r" / __none__ / \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\d{8}T\d{6}\.\d{6}Z")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_LINK = re.compile(r'href="(?:\.\./)*(expectations|validations)/([^"]*/)?([^"/]+\.html)"')
_HOME = re.compile(r'href="(?:\.\./)*index\.html"')


def write_docs(site: Path, docs: Path, verdict: dict[str, Any], limit: int) -> None:
    """Turn a generated Data Docs site into pages that need no scripts and no network.

    Args:
        site: what Great Expectations built.
        docs: folder to write; it is replaced as a whole.
        verdict: as `check_manifest` returns it; the start page shows it.
        limit: how many examples of each check the verdict holds at most.
    """
    docs.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=docs.parent, prefix=f".{docs.name}."))
    try:
        work.chmod(0o755)
        names: dict[str, list[str]] = {}
        for kind in ("validations", "expectations"):
            for page in sorted((site / kind).rglob("*.html")):
                # GX: validations/SUITE/RUN/TIME/BATCH.html, expectations/SUITE.html
                suite = page.relative_to(site / kind).parts[0].removesuffix(".html")
                name = f"{kind}-{suite}.html"
                (work / name).write_text(
                    offline(page.read_text(encoding="utf-8"), f"{kind}: {suite}"), encoding="utf-8"
                )
                names.setdefault(kind, []).append(name)
        (work / "index.html").write_text(_index(verdict, names, limit), encoding="utf-8")
        shutil.rmtree(docs, ignore_errors=True)
        work.rename(docs)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def offline(page: str, title: str) -> str:
    """One page without scripts, remote files, run times or random ids."""
    for pattern in _DROPPED:
        page = pattern.sub("", page)
    page = _TIME.sub("", page)
    seen: dict[str, str] = {}
    page = _UUID.sub(lambda match: seen.setdefault(match[0], f"id{len(seen)}"), page)
    page = _LINK.sub(lambda match: f'href="{match[1]}-{match[3]}"', page)
    page = _HOME.sub('href="index.html"', page)
    page = re.sub(r"\n\s*\n+", "\n", page)
    return page.replace("<head>", f"<head>{_head(title)}", 1)


def _head(title: str) -> str:
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    return f"{_HEAD}{policy}<title>{escape(title)}</title><style>{_STYLE.read_text(encoding='utf-8')}</style>"


def _index(verdict: dict[str, Any], pages: dict[str, list[str]], limit: int) -> str:
    import jinja2

    template = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(_INDEX.read_text(encoding="utf-8"))
    return (
        template.render(head=_head("Data quality"), verdict=verdict, pages=pages, limit=limit, counted=counted) + "\n"
    )
