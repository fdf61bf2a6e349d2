"""`croft doctor`: what is wrong with the workspace's store and locks, one line each."""

from __future__ import annotations

from pathlib import Path

from pipeline import telemetry
from pipeline.console import make_console, say
from pipeline.params import load_params


def examine_project(*, mend: bool) -> bool:
    """Print a line for each finding and return whether nothing is left to mend."""
    telemetry.disable()
    name = load_params().register_.model
    from pipeline.dvc_runner.locks import clear_stale_locks
    from pipeline.registry.doctor import Finding, examine

    findings = examine(name, mend=mend)  # a moved workspace is put right, and named, as the store is opened
    if clear_stale_locks(Path.cwd(), look=not mend):
        sentence = ".dvc/tmp/rwlock: locks of processes that are gone, or a damaged file; they are removed"
        findings.append(Finding(sentence, mend, mendable=True))
    console = make_console()
    for finding in findings:
        mark = "mended" if finding.mended else "mend" if finding.mendable else "to do"
        say(f"{mark}: {finding.sentence}", console)
    left = [finding for finding in findings if not finding.mended]
    if any(finding.mendable for finding in left):
        say("`croft doctor --mend` puts right what is marked mend", console)
    if not findings:
        say(f"{name}: journal, versions, runs and locks are as they should be", console)
    return not left
