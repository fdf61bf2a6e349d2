"""No tool of the pipeline reports usage, unless the user turned that on."""

from __future__ import annotations

import os

_OFF = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def disable() -> None:
    """Turn reporting off for this process and its children; call it before these tools are imported."""
    for name, value in _OFF.items():
        os.environ.setdefault(name, value)
