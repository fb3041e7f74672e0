"""Displacements that are large for the structures of an image, found on blurred images first."""

from __future__ import annotations

from dataclasses import dataclass

from phiml import math
from phiml.math import Tensor, channel, stack

from .optical_flow import OpticalFlow
from .vorticity import Q, VorticityTransport

BLURS = (1.5, 0.75, 0.0)  # of the distance by which the image seems to have moved
CARRYING_STEPS = 4


@dataclass(frozen=True, eq=False)
class CoarseToFine:
    """
    The divergence-free displacement ξ between an image m and a target m*, in levels from coarse to fine:

        ξ_i = flow(G_i m_i, G_i m*),   m_{i+1} = m_i carried by ξ_i,   ξ = Σ ξ_i
        G_i q = q blurred by a Gaussian of standard deviation b_i d,   d = ‖m* − m‖₂ / ‖∇m‖₂

    with b = 1½, ¾ and 0. d is the distance by which m seems to have moved: that distance if it is small, about the
    size of the structures of m if it is larger. Optical flow is linear in the displacement, and so is right for
    structures that are longer than it; blurred images have no others. m is carried along the flow that ξ_i starts, in
    unit time, by `VorticityTransport`.

    Attributes:
        transport: Fourier space of the grid.
        flow: Estimates the displacement at each level.
        slope: ‖∇m‖₂, root mean square of the image as it was before it was carried; batch dims at most.

    Source: Burt, Adelson, "The Laplacian pyramid as a compact image code", 1983; Anandan, "A computational framework
    and an algorithm for the measurement of visual motion", 1989.
    """

    transport: VorticityTransport
    flow: OpticalFlow
    slope: Tensor

    def displacement(self, owner: str, image: Tensor, difference: Tensor) -> Tensor:
        """
        Computes ξ.

        Args:
            owner: Who asks, for messages.
            image: Coefficients of m.
            difference: Coefficients of m* − m.

        Returns:
            Fourier coefficients of ξ along the channel dim `derivative`.

        Raises:
            ParameterError: if the image cannot be carried that far.
        """
        distance, target, total = self._distance(difference), image + difference, None
        for level, blur in enumerate(BLURS):
            kept = math.exp(-0.5 * (blur * distance) ** 2 * self.transport.space.k_squared)
            left = target - image
            found = self._at_level(kept * image, kept * left)
            total = found if total is None else total + found
            if level < len(BLURS) - 1:
                image = self._carried(owner, image, found)
        return total

    def _at_level(self, image: Tensor, difference: Tensor) -> Tensor:
        """Computes the displacement by the gradient halfway, which makes it exact to second order."""
        halfway = self.transport.gradient(image + 0.5 * difference)
        return self.flow.displacement(halfway, self.transport.space.basis.inverse(difference))

    def _distance(self, difference: Tensor) -> Tensor:
        values = self.transport.space.basis.inverse(difference)
        return math.safe_div(math.sqrt(math.mean(values**2, values.shape.spatial)), self.slope)

    def _carried(self, owner: str, image: Tensor, displacement: Tensor) -> Tensor:
        mean, vorticity = self.transport.curl(displacement)
        start = stack([vorticity, image], channel(Q), expand_values=True)
        step = 1 / CARRYING_STEPS
        parts = self.transport.substeps(owner, mean, start, step)
        end = self.transport.run(mean, start, step, CARRYING_STEPS, substeps=parts, differentiable=False)
        return end[{Q: 1}]
