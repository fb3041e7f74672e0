"""Half-inverse gradients: the network is drawn to what its simulations should be, by a part of the inverse of both."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

from ..contract.target import Lesson, TargetContext, TrainingTarget
from ..errors import ParameterError, UnsupportedError

LEAST_TRUNCATION = 1e-7


@dataclass(frozen=True)
class HalfInverse(TrainingTarget):
    """
    Half-inverse gradients (HIG): draws P(f(y*; θ)) to y* by a Jacobian that is inverted half of the way:

        y = P(f(y*; θ)),   J = ∂y/∂θ = U Λ Vᵀ,   Δθ = V Λ^(−κ) Uᵀ (y* − y),   θ ← optimizer(−Δθ)

    J has one row for each observed value of the batch and one column for each weight: network and physics are inverted
    together. κ = ½ is the published rule. κ = −1 is the gradient of L = ½ ‖y − y*‖², summed over the batch, which is
    ordinary training through the physics. κ = 1 is the Gauss–Newton step, which solves a linear least-squares problem
    at once. Between the two, directions with small singular values are neither forgotten nor blown up.

    With stochastic gradient descent (SGD) of rate η the weights change by η Δθ. The published loss is ‖y − y*‖²,
    averaged over a batch of B samples, so a published rate of η is 2 η / B here. Other optimizers, such as Adam, take
    −Δθ for the gradient. Those that evaluate the loss again are refused.

    Δθ is computed as Jᵀ K^(−(1+κ)/2) (y* − y) from the eigenvalues of K = J Jᵀ, or as K^(−(1+κ)/2) Jᵀ (y* − y) from
    those of K = Jᵀ J where there are fewer weights than observed values. K is summed and decomposed in double
    precision, so that Δθ is accurate to about 2e-16 / τ²: 2e-4 at τ = 1e-6, and some per cent at 1e-7, where rounding
    in a network of single precision does as much.

    An update takes one backward pass of the physics for each value of one observation, one of the network for each
    value of the batch, and the eigenvalues of K. So it suits physics with few observed values, and small networks.
    With `micro_batches` the rows of J are computed part by part, so that the passes through network and physics need
    less memory. All of them are kept, or their sum Jᵀ J where there are fewer weights, and the update is that of the
    whole batch. Batch normalization uses the statistics of each part, as in any update. Samples must not influence each
    other in the physics; in the network they may.

    `SipUpdate.loss` is L, and its `x_target` is x, as no state is aimed at. `solver` and `step_size` are refused.

    Args:
        exponent: κ in [−1, 1].
        truncation: τ in [1e-7, 1). Singular values of at most τ times the largest one are left out.

    Raises:
        ParameterError: if an argument is out of its range; by an update, if J does not fit into memory.
        UnsupportedError: by an update, if the framework gives no Jacobian, weights are complex, layers of a Keras
            network add losses, or several workers train together.

    Source: Schnell, Holl, Thuerey, "Half-Inverse Gradients for Physical Deep Learning", ICLR 2022 (arXiv 2203.10131).
    """

    name: ClassVar[str] = "half-inverse"

    exponent: float = 0.5
    truncation: float = 1e-6

    def __post_init__(self) -> None:
        for name, value in (("exponent", self.exponent), ("truncation", self.truncation)):
            if isinstance(value, bool) or not isinstance(value, Real):
                raise ParameterError(f"HalfInverse: {name} is a {type(value).__name__}. Give a number.")
        if not -1 <= self.exponent <= 1:
            raise ParameterError(
                f"HalfInverse: exponent = {self.exponent}, but it is from −1, the gradient, to 1, Gauss–Newton."
            )
        if not LEAST_TRUNCATION <= self.truncation < 1:
            raise ParameterError(
                f"HalfInverse: truncation = {self.truncation}, but it is the part of the largest singular value up to "
                f"which others are left out: a number in [{LEAST_TRUNCATION:g}, 1)."
            )

    def lesson(self, context: TargetContext) -> Lesson:
        """
        Raises `UnsupportedError`: the rule is none of states, and its updates are made by the plugin `half-inverse`.
        """
        raise UnsupportedError(
            "Half-inverse gradients are made by the plugin 'half-inverse', which is left out: by "
            "PHI_SIP_DISABLE_PLUGINS, or because it could not be loaded. Nothing was changed."
        )
