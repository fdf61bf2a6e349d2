"""Lifetime of processes: a command never outlives the process that started it, however that one ends.

Three nets, because no single one holds: `run_group` ends a command's whole session when this process is interrupted;
`die_with_parent` ends a stage whose `dvc` was killed; `guard` starts a tiny reaper that outlives this process and
ends everything that still carries its token, which is the only net left after SIGKILL.
"""
