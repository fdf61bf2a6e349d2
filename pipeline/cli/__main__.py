"""`python -m pipeline.cli`, where the package is not installed."""

from pipeline.cli import main

main()
