"""Sizes of files of weights, from their headers: before anything of them is in memory."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from ...archives import unpacked_size
from ...errors import CheckpointError
from ...networks import NetworkSpec, sip_networks

BYTES_OF_WEIGHT = 2  # at least: half precision
LARGEST_KERNEL = 31  # cells
DEFAULT_FILTERS = 16  # of a u_net
SPARE = 1 << 20  # bytes for names, headers and alignment
SPARE_PER_ARRAY = 1 << 12


def check_network(network: NetworkSpec, path: Path) -> None:
    """
    Compares how large a network of `phiml.nn` will be with its file of weights, before it is made. Of networks of
    plugins this is not known.

    Raises:
        CheckpointError: if the file is not there, or is smaller than what the network needs at least.
    """
    if network.name not in sip_networks():
        return
    if not path.is_file():
        raise CheckpointError(f"{path.name} is missing.")
    stored, needed = path.stat().st_size // BYTES_OF_WEIGHT, _least_weights(network.arguments)
    if needed > stored:
        raise CheckpointError(
            f"the network has at least {needed} weights, but {path.name} has room for {stored}, so it was not made."
        )


def _least_weights(arguments: Mapping[str, Any]) -> int:
    """A layer from a to b channels has a·b weights or more. What is no number is refused by the network itself."""
    kernels = [arguments.get(name, 1) for name in ("down_kernel_size", "up_kernel_size")]
    if any(type(kernel) is int and kernel > LARGEST_KERNEL for kernel in kernels):
        raise CheckpointError(f"kernels of {kernels} cells are larger than {LARGEST_KERNEL}.")
    widths, levels = arguments.get("layers", arguments.get("filters", DEFAULT_FILTERS)), arguments.get("levels", 1)
    ends = _numbers([arguments.get("in_channels"), arguments.get("out_channels")])
    if type(widths) is int:
        return sum(end * widths for end in ends) + widths * widths * (levels if type(levels) is int else 1)
    inner = _numbers(widths if isinstance(widths, list) else [])
    first = inner[0] if inner else 1
    return sum(a * b for a, b in pairwise(inner)) + max((end * first for end in ends[:1]), default=0)


def _numbers(values: list[Any]) -> list[int]:
    return [value for value in values if type(value) is int and value > 0]


def check_archive(path: Path, arrays: int, size: int) -> None:
    """
    Measures a file of weights that is a zip archive.

    Args:
        path: The file.
        arrays: How many arrays the network has.
        size: Their bytes.

    Raises:
        zipfile.BadZipFile: if it is no archive.
        CheckpointError: if what it unpacks to is more than that.
    """
    check_size(path, unpacked_size(path), arrays, size)


def check_size(path: Path, found: int, arrays: int, size: int) -> None:
    """
    Compares the bytes that a file unpacks to with those of a network.

    Raises:
        CheckpointError: if the file has more.
    """
    if found > size + SPARE + SPARE_PER_ARRAY * arrays:
        raise CheckpointError(
            f"{path.name} unpacks to {found} bytes, but the network has weights of {size} bytes, so it was not read."
        )
