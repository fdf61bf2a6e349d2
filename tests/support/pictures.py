"""Small images of one's own, and a project with git and DVC to put them into."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def picture(number: int, side: int = 20) -> bytes:
    """A PNG whose bytes differ for each number below 2^24."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (number >> 16 & 255, number >> 8 & 255, number & 255)).save(buffer, "PNG")
    return buffer.getvalue()


def write_pictures(folder: Path, pictures: dict[str, int]) -> None:
    """Write `picture(number)` at each path below a folder."""
    for path, number in pictures.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(picture(number))


def make_project(root: Path) -> Path:
    """Our params.yaml in a folder with git and DVC, committed."""
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    for name in ("params.yaml", ".gitignore", ".dvcignore"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    git(root, "init", "-q", "-b", "main")
    commit(root, "start")
    return root


def commit(root: Path, message: str) -> str:
    """Commit everything that git does not ignore; the commit's hash."""
    git(root, "add", "-A")
    git(root, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", message)
    return git(root, "rev-parse", "HEAD")


def git(root: Path, *arguments: str) -> str:
    """What git prints."""
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()
