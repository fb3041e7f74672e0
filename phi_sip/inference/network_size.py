"""How large a network will be at least, by its arguments: compared with its files before it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, prod
from pathlib import Path
from typing import Any

from ..descriptions.networks import NetworkSpec, sip_networks
from ..errors import CheckpointError

BYTES_OF_WEIGHT = 2  # at least: half precision
DEFAULT_FILTERS, DEFAULT_LEVELS = 16, 4  # of a u_net
KERNELS = ("down_kernel_size", "up_kernel_size")
WITH_KERNELS = ("u_net",)
OF_TWO_LAYERS = ("u_net", "res_net")
LARGEST_KERNEL = 31  # cells


def check_network(network: NetworkSpec, files: Sequence[Path]) -> None:
    """
    Compares how large a network of `phiml.nn` will be with its files of weights, before it is made. Of networks of
    plugins this is not known.

    Raises:
        CheckpointError: if there are none, or they are smaller than what the network needs at least.
    """
    if network.name not in sip_networks():
        return
    if not files:
        raise CheckpointError("there is no file of weights.")
    kernels = [network.arguments.get(size) for size in KERNELS]
    if any(_cells(kernel, 1) > LARGEST_KERNEL ** (2 if isinstance(kernel, list) else 1) for kernel in kernels):
        raise CheckpointError(f"kernels of {kernels} cells are larger than {LARGEST_KERNEL}.")
    stored = sum(file.stat().st_size for file in files) // BYTES_OF_WEIGHT
    needed = _least_weights(network.name, network.arguments)
    if needed > stored:
        raise CheckpointError(
            f"the network has at least {needed} weights, but {', '.join(file.name for file in files)} has room for "
            f"{stored}, so it was not made."
        )


def _least_weights(name: str, arguments: Mapping[str, Any]) -> int:
    """
    Returns how many weights a network has at least. A layer from a to b channels has a·b or more, for each cell of its
    kernel. Where blocks are of two layers, the second is from b to b. What is no number is refused by the network
    itself.
    """
    first, last = (_number(arguments.get(end)) for end in ("in_channels", "out_channels"))
    widths = _Widths.of(arguments)
    if not widths.first:
        return first * last
    into, between = first * widths.first, widths.pairs
    if name in OF_TWO_LAYERS:
        into, between = into + widths.first**2, between + widths.squares
    if name in WITH_KERNELS:
        down, up = (_cells(arguments.get(size), arguments.get("in_spatial", 2)) for size in KERNELS)
        into, between = into * down, between * min(down, up)  # JAX has one of them for all levels but the first
    return into + between + widths.last * last


@dataclass(frozen=True)
class _Widths:
    """The channels of the inner layers: of the first and the last, Σ aᵢ aᵢ₊₁, and Σ aᵢ² without the first."""

    first: int
    last: int
    pairs: int
    squares: int

    @staticmethod
    def of(arguments: Mapping[str, Any]) -> _Widths:
        widths = arguments.get("layers", arguments.get("filters", DEFAULT_FILTERS))
        if isinstance(widths, list):
            each = [_number(width) for width in widths]
            pairs, squares = sum(a * b for a, b in pairwise(each)), sum(a * a for a in each[1:])
            return _Widths(each[0] if each else 0, each[-1] if each else 0, pairs, squares)
        width = _number(widths)
        more = (_number(arguments.get("levels", DEFAULT_LEVELS)) - 1) * width**2
        return _Widths(width, width, more, more)


def _cells(kernel: Any, rank: Any) -> int:
    if isinstance(kernel, list):
        return prod(map(_number, kernel))
    return _number(kernel) ** (rank if rank in (1, 2) else 3)


def _number(value: Any) -> int:
    """Returns a number of channels, levels or cells; 1 for what is none."""
    return max(int(value), 1) if isinstance(value, (int, float)) and isfinite(value) else 1
