"""Running DVC: the only room that starts `dvc`."""
