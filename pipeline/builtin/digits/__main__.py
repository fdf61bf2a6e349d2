"""Write the built-in digits."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipeline.builtin.digits.write import write
from pipeline.errors import CroftError
from pipeline.process.parent import die_with_parent


def main() -> int:
    """Read the arguments, write the images, say where they are."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.builtin.digits", description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write, replaced if it exists")
    parser.add_argument("--seed", type=int, default=0, help="decides each image's domain, pose and colours")
    arguments = parser.parse_args()
    die_with_parent()  # a stage of data/builtin/dvc.yaml
    try:
        count = write(arguments.out, arguments.seed)
    except CroftError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{count} images in {arguments.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
