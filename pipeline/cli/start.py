"""The command `croft`, installed as the module `croft_start`: it starts `pipeline.cli` of this project.

A folder on PYTHONPATH comes before installed packages, and `pipeline` is a common name: without this, another package
of that name would be imported in place of ours.
"""

import sys
from pathlib import Path


def main() -> None:
    """Put our own folder before others that hold a `pipeline`, then run the command."""
    folders = [folder for folder in sys.path if _holds(folder, "__init__.py") or Path(folder, "pipeline.py").is_file()]
    ours = next((folder for folder in folders if _holds(folder, "cli/start.py")), None)
    if ours and folders[0] != ours:
        sys.path.insert(sys.path.index(folders[0]), ours)
    from pipeline.cli import main as run

    run()


def _holds(folder: str, file: str) -> bool:
    return Path(folder, "pipeline", file).is_file()
