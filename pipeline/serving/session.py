"""An ONNX Runtime session on the requested device, or an error: never a silent fallback to the CPU."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import CheckpointError, DeviceError

if TYPE_CHECKING:
    import onnxruntime

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_ERRORS_ONLY = 3


def make_session(
    path: Path,
    device: str = "auto",
    threads: int | None = None,
    *,
    spinning: bool = True,
    profile: Path | None = None,
) -> onnxruntime.InferenceSession:
    """Load a graph for prediction.

    Args:
        path: an ONNX file.
        device: auto (CUDA where there is a device), cuda or cpu.
        threads: CPU threads of one prediction; all cores by default.
        spinning: whether idle threads keep their core busy; False where other work shares the cores.
        profile: start of the file name of ONNX Runtime's own profile; by default none is written.
    Raises:
        CheckpointError: the file is missing or is not an ONNX graph.
        DeviceError: cuda was requested, or a CUDA device is present, but ONNX Runtime cannot use it.
    """
    import onnxruntime

    if device not in ("auto", "cuda", "cpu"):
        raise DeviceError(f"device: expected auto, cuda or cpu, found {device!r}")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected an exported graph")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    if threads is not None:
        options.intra_op_num_threads = threads
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    cuda = device == "cuda" or (device == "auto" and CUDA in onnxruntime.get_available_providers() and _cuda_device())
    providers: list[Any] = [CPU]
    if cuda:
        if CUDA not in onnxruntime.get_available_providers():
            raise DeviceError(
                "device: cuda was requested, but this ONNX Runtime was built without CUDA; install onnxruntime-gpu"
            )
        if not _cuda_device():
            raise DeviceError("device: cuda was requested, but no CUDA device is present; use auto or cpu")
        onnxruntime.preload_dlls()
        # The threshold was set in float32; TF32 alone moves scores by 1e-3.
        providers = [(CUDA, {"use_tf32": "0"}), CPU]
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's own exception types share no public base
        raise CheckpointError(f"{path}: not a usable ONNX graph: {' '.join(str(error).split())[:200]}") from None
    if cuda and CUDA not in session.get_providers():
        raise DeviceError(f"{path}: ONNX Runtime fell back to the CPU; check that CUDA and cuDNN match onnxruntime-gpu")
    return session


def _cuda_device() -> bool:
    # ONNX Runtime lists the providers that it was built with; only the driver knows whether a device is present.
    names = ("nvcuda.dll",) if sys.platform == "win32" else ("libcuda.so.1", "libcuda.so")
    for name in names:
        try:
            driver = ctypes.CDLL(name)
        except OSError:
            continue
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    return False
