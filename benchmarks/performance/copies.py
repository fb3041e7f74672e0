"""Copies between host and device, and what the host waits for, as CUDA's profiler counts them."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable

COUNTED = {
    "copies to the host": ("Memcpy DtoH",),
    "copies to the device": ("Memcpy HtoD",),
    "waits of the host": ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cuStreamSync"),
    "kernels": ("cudaLaunchKernel", "cuLaunchKernel", "cudaLaunchCooperativeKernel"),
    "graphs": ("cudaGraphLaunch", "cuGraphLaunch"),
}


def counted(run: Callable[[], object]) -> dict[str, int] | None:
    """
    Counts what one call does, on any framework of this process: PyTorch's profiler is that of CUDA.

    Returns:
        Counts by name; `None` without PyTorch or without a GPU.
    """
    if not importlib.util.find_spec("torch"):
        return None
    import torch
    from torch.profiler import ProfilerActivity, profile

    if not torch.cuda.is_available():
        return None
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        run()
    names = Counter(event.name for event in found.events())
    return {what: sum(n for name, n in names.items() if name.startswith(kinds)) for what, kinds in COUNTED.items()}
