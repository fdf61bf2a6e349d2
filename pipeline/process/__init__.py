"""Lifetime of processes: a command never outlives the process that started it, however that one ends.

Three nets, because no single one holds: `run_group` ends a command's whole session when this process is interrupted;
`die_with_parent` ends a stage whose `dvc` was killed; `guard` starts a tiny reaper that outlives this process and
ends everything that still carries its token, which is the only net left after SIGKILL.
"""

from pipeline.process.group import end_session, run_group
from pipeline.process.parent import STAGE_VARIABLE, die_with_parent, end_with
from pipeline.process.reaper import guard

__all__ = ["STAGE_VARIABLE", "die_with_parent", "end_session", "end_with", "guard", "run_group"]
