"""Small DVC projects to run DVC on."""

from dvc_project import project  # noqa: F401
