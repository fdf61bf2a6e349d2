"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime


def machine(device: str) -> dict[str, str | int]:
    """Date, processor, cores, accelerator and versions."""
    import torch

    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "int8 instructions": " ".join(int8_instructions()) or "none",
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "load": f"{os.getloadavg()[0]:.1f}",
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def int8_instructions() -> list[str]:
    """The processor's instructions for products of bytes, as Linux calls them; [] where it has or tells none."""
    names = {"avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm"}
    return sorted(names & set((_cpuinfo("flags") or _cpuinfo("Features")).split()))


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(key: str) -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(key))
    except (OSError, StopIteration):
        return ""
