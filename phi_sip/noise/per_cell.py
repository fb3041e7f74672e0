"""Noise whose size is known in every cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from phi.field import Field
from phiml import math
from phiml.math import Shape, Tensor

from ..errors import ParameterError
from ..spectral import SpectralBasis
from ..states.parameters import as_tensor
from .base import STD, positive, root_mean
from .cellwise import CellWeights, CellwiseLaw


@dataclass(frozen=True, eq=False)
class NoisePerCell(CellwiseLaw):
    """
    n_i ~ N(0, σ_i²), independent, with σ_i known in every cell.

    How observations with it are inverted: see `CellwiseLaw`. The more σ_i differs between cells, the more iterations
    that takes.

    Args:
        std_per_cell: σ_i > 0 per cell, like y*: a `Field`, or a `Tensor` with its spatial dims. Batch dims are allowed.
        iterations: How many times an observation is explained after the first.

    Raises:
        ParameterError: if an argument is out of range, or σ has no spatial dims.
    """

    name: ClassVar[str] = "per-cell"

    std_per_cell: Field | Tensor
    iterations: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.std_per_cell, (Field, Tensor)) or not self._values.shape.spatial:
            raise ParameterError(
                f"NoisePerCell: std_per_cell is a {type(self.std_per_cell).__name__} without spatial dims. Give a "
                f"Field or Tensor like y*. If σ is the same in all cells, give noise_std=... to the physics."
            )
        if not bool(((self._values > 0) & math.is_finite(self._values)).all):
            raise ParameterError(
                "NoisePerCell: std_per_cell must be finite and > 0 in every cell. Use Masked for cells that are not "
                "observed."
            )

    @property
    def fixes_std(self) -> bool:
        """True."""
        return True

    def std(self, values: Tensor, alike: Shape) -> Tensor:
        deviation = math.to_float(self._values)
        return root_mean(deviation * deviation, alike)

    def weights(self, observed: Tensor, predicted: Tensor, std: Tensor, alike: Shape, iteration: int) -> CellWeights:
        ratio = std / math.to_float(self._values)
        return CellWeights(ratio * ratio, std)

    def sample(
        self, mean: Tensor, normal: Tensor, known: Mapping[str, Any], basis: SpectralBasis, alike: Shape
    ) -> Tensor:
        scale = as_tensor(known[STD]) / positive(self.std(mean, alike))
        return normal * math.to_float(self._values) * scale

    @property
    def _values(self) -> Tensor:
        return self.std_per_cell.values if isinstance(self.std_per_cell, Field) else self.std_per_cell
