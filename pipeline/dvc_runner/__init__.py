"""DVC as this project uses it: the only room that starts `dvc` or imports it."""
