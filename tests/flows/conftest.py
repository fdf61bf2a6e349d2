"""Small DVC projects to run flows on."""

from dvc_project import project  # noqa: F401
