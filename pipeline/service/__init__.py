"""`croft serve`: the exported graph behind HTTP, without torch or DVC; MLflow is needed to follow a registry only."""
