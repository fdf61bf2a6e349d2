"""An ONNX Runtime session on the requested device, or an error: never a silent fallback to the CPU."""

from __future__ import annotations

import ctypes
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import CheckpointError, DeviceError

if TYPE_CHECKING:
    import numpy as np
    import onnxruntime

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_ERRORS_ONLY = 3
_GREY = 128


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


def open_proven(
    path: Path, device: str = "auto", threads: int | None = None, *, spinning: bool = True
) -> tuple[onnxruntime.InferenceSession, dict[str, int]]:
    """As `make_session`, and what the graph really ran on: execution provider to the number of its nodes.

    `get_providers()` lists what a session may use, and ONNX Runtime places each node on its own: a node that CUDA lacks
    runs on the CPU. So the session's own profiler watches one inference, of one grey image, and is then switched off
    for good. Later inferences cost nothing more, and the weights are loaded once.

    Raises:
        CheckpointError: also: the graph cannot run.
        DeviceError: also: the session has CUDA, but no node ran on it.
    """
    with tempfile.TemporaryDirectory(prefix="croft-") as scratch:
        session = make_session(path, device, threads, spinning=spinning, profile=Path(scratch) / "run")
        executed = prove_providers(session, path)
    if session.get_providers()[0] == CUDA and not executed.get(CUDA):
        raise DeviceError(f"{path}: no node of the graph ran on CUDA; use the device cpu, or export the model again")
    return session, executed


def prove_providers(session: onnxruntime.InferenceSession, path: Path) -> dict[str, int]:
    """Run one grey image in a session that was made with `profile`, and end its profiling.

    Returns:
        Execution provider to the number of nodes that it ran, most first.
    Raises:
        CheckpointError: the graph cannot run.
    """
    try:
        infer(session, grey_inputs(session), [item.name for item in session.get_outputs()])
    except Exception as error:  # onnxruntime's own exception types share no public base
        raise CheckpointError(f"{path}: the graph cannot run: {' '.join(str(error).split())[:200]}") from None
    finally:
        profile = Path(session.end_profiling())
    return providers_in(profile)


def grey_inputs(session: onnxruntime.InferenceSession) -> dict[str, np.ndarray]:
    """One grey image, as the graph takes it."""
    import numpy as np

    inputs = {}
    for item in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in item.shape]
        inputs[item.name] = np.full(shape, _GREY, np.uint8 if item.type == "tensor(uint8)" else np.float32)
    return inputs


def providers_in(profile: Path) -> dict[str, int]:
    """Execution providers and the number of nodes that each ran, most first, by a profile that a session has ended."""
    events = json.loads(profile.read_text(encoding="utf-8"))
    providers = (event.get("args", {}).get("provider") for event in events if event.get("cat") == "Node")
    return dict(Counter(name for name in providers if name).most_common())


def infer(
    session: onnxruntime.InferenceSession, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
) -> list[np.ndarray]:
    """Run a session; on CUDA, inputs and outputs are bound to the device, so that each is copied once."""
    if session.get_providers()[0] == CUDA:
        return infer_bound(session, inputs, outputs, "cuda")
    return list(session.run(list(outputs), dict(inputs)))


def infer_bound(
    session: onnxruntime.InferenceSession, inputs: Mapping[str, np.ndarray], outputs: Sequence[str], device: str
) -> list[np.ndarray]:
    """Run a session whose inputs lie on a device before it starts, and whose outputs are made there.

    Each call has a binding of its own, so threads may share the session.

    Args:
        session: on that device.
        inputs: name to array.
        outputs: names.
        device: cuda or cpu.
    Returns:
        The outputs, on the CPU.
    """
    import numpy as np
    import onnxruntime

    binding = session.io_binding()
    for name, array in inputs.items():
        value = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), device, 0)
        binding.bind_ortvalue_input(name, value)
    for name in outputs:
        binding.bind_output(name, device, 0)
    session.run_with_iobinding(binding)
    return list(binding.copy_outputs_to_cpu())


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
