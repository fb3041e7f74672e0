"""What is measured: sizes of the full and of the quick run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from native import FRAMEWORKS, Framework


@dataclass(frozen=True)
class Sizes:
    """
    Sizes of all problems.

    Attributes:
        cells: Per side of the chapter's grid.
        batch: Samples of the chapter's batch.
        network: Arguments of `u_net(1, 1, …)`.
        repeats: Turns, unless `--repeats` says otherwise.
        one_by_one: Samples for libraries that invert one after another.
        planes, cubes, batches: Cells per side and samples of `scaling`.
        largest: Cells per side of the cube that is measured in a process of its own.
        precisions: Bits of the numbers in `inverses` and in the largest cube.
        memory_batches: Samples of `memory`.
        memory_cases: How many of its cases are measured.
        micro_batches: Parts of a batch in `memory`.
        steps: Training steps of `accuracy`.
        seeds: Seeds of `accuracy`.
        rates: Learning rates of `accuracy`, unless `--rates` says otherwise.
    """

    cells: int = 64
    batch: int = 128
    network: dict[str, Any] = field(default_factory=dict)
    repeats: int = 9
    one_by_one: int = 8
    planes: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    cubes: tuple[int, ...] = (16, 32, 64, 128)
    batches: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    largest: int = 256
    precisions: tuple[int, ...] = (32, 64)
    memory_batches: tuple[int, ...] = (32, 128, 256)
    memory_cases: int = 5
    micro_batches: int = 4
    steps: int = 50
    seeds: tuple[int, ...] = (0, 1, 2)
    rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3)


FULL = Sizes()
QUICK = Sizes(
    cells=16,
    batch=4,
    network={"levels": 1, "filters": 2},
    repeats=2,
    one_by_one=2,
    planes=(8, 16, 32),
    cubes=(8, 16),
    batches=(1, 4),
    largest=16,
    precisions=(64,),
    memory_batches=(4,),
    memory_cases=2,
    micro_batches=2,
    steps=6,
    seeds=(0,),
    rates=(1e-3,),
)


@dataclass(frozen=True)
class Settings:
    """What one process is told: the framework, and what the flags say."""

    framework: str
    quick: bool
    repeats: int
    rates: tuple[float, ...]

    @property
    def supports(self) -> Framework:
        """What can be measured on the framework."""
        return FRAMEWORKS[self.framework]

    @property
    def sizes(self) -> Sizes:
        return QUICK if self.quick else FULL
