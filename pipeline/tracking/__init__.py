"""What was measured, and by which run: MLflow runs of stages under one parent run, through the client API only.

Nothing here touches MLflow's fluent state (active run, current experiment), so that several runs may be open in one
process and a run never ends up as the child of another by accident.
"""
