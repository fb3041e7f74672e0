"""What every physics provides: a forward simulation and, where there is one, its local inverse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from phi.field import Field
from phiml.math import Tensor

from ..states import trees
from .noise import NoiseMeasurement

Draw = Callable[[int, np.random.Generator], Any]


@dataclass(frozen=True, eq=False)
class Correction:
    """
    What an inverse returns.

    Attributes:
        dx: Correction x̃ − x, of the structure, dims and units of x.
        uncertainty: Computes the standard deviation of x̃ per cell, as a state like x, when called; `None` if unknown.
        stats: What the method wants to report, by name, e.g. `kernel` or `iterations`.
        draw: Draws states of the posterior p(x | y*): so many, by a generator of random numbers, as one state like x
            with the batch dim `posterior_samples`; `None` if the method has no posterior.
    """

    dx: Any
    uncertainty: Callable[[], Any] | None = field(default=None, repr=False)
    stats: Mapping[str, Any] = field(default_factory=dict, repr=False)
    draw: Draw | None = field(default=None, repr=False)


@dataclass(frozen=True)
class InvertiblePhysics(ABC):
    """
    A physical process y = P(x) together with what is known about its inverse.

    Subclasses are frozen dataclasses. Their fields are the physical parameters: numbers, or phiml tensors with batch
    dims. `forward` is required. `inverse` is optional: without it a numerical solver stands in.

    Attributes:
        name: Registry key of the class, see `get_physics`.
        constants: Fields whose values decide how to compute, e.g. because tables are made from them. Tensors in other
            fields may change from update to update without compiling anew.
        varying: Fields that hold a number which may change likewise.
    """

    name: ClassVar[str] = ""
    constants: ClassVar[tuple[str, ...]] = ()
    varying: ClassVar[tuple[str, ...]] = ("noise_std",)

    @property
    def is_linear(self) -> bool:
        """
        Whether P is linear up to a constant. A step size η then scales the step, x̃ = x + η (P⁻¹(y*; x) − x), which is
        the same for an exact inverse, and leaves a regularized one its fixed point and its noise level.
        """
        return False

    def noise_energy(self, y: Any) -> Tensor | None:
        """
        E‖n‖² of the observation noise, at which numerical inverses stop; default `None`: not known.

        Args:
            y: An observation, for its dims.

        Returns:
            Σ over all cells and components of the variance of the noise, with batch dims at most.
        """
        return None

    @property
    def x_scale(self) -> Any:
        """
        Characteristic sizes s > 0 of the values of a state whose parts differ in unit, e.g. their standard deviations
        over the states that are to be found: in a tuple or dict as the state has, one number for each of its parts, or
        a `Tensor` of dims of the part. Default: `None`, 1 for all.

        Numerical inverses look for x / s, so that units do not matter to them. Losses of states, the proxy loss of
        training and `x_l2`, are ½ ‖x‖² of differences, with n values in a part, and N in the largest one:

            ‖x‖² = Σ_parts N/n Σ_values (x / s)²

        so that one number counts as much as a field. For a state of one part it is ‖x / s‖².
        """
        return None

    @property
    def inverse_options(self) -> Mapping[str, Any]:
        """
        What was given that only `inverse` obeys, by name, e.g. a rule that works in the modes of the physics. Numerical
        solvers leave it out: who asks for one knows, and what needs one, as `Masked`, refuses it. Default: nothing.
        """
        return {}

    @property
    def rule_of_state(self) -> Any:
        """
        The rule, a `Regularization`, that numerical solvers with a prior obey; default `None`: the prior is theirs. A
        rule that needs a closed form, which says so by its `field_prior`, they refuse.
        """
        return None

    @property
    def inverse_is_exact(self) -> bool:
        """
        Whether `inverse` finds the one state that explains an observation, P(x̃) = y*, whatever it is. What is uncertain
        in x̃ is then what y* leaves uncertain, and no more. Default: False.
        """
        return False

    @property
    def network_parameters(self) -> Mapping[str, Any]:
        """
        The known parameters that a network can be shown, see `Parameters`, by name: numbers, tensors, and fields on the
        cells of the state, in the order of the fields of the physics. A physics that knows better says what they are,
        and in which form: `{"log diffusivity": math.log(self.diffusivity)}`.

        Default: all fields that hold a number, a tensor or a `Field`, but `noise_std` and `x_scale`; of physics within
        physics, and of mappings, theirs, as `physics.diffusivity` and `arguments.viscosity`.
        """
        return dict(_parameters(self))

    @property
    def default_solver(self) -> str | None:
        """
        Name of the numerical solver that inverts the physics where it has no closed form. Default: `None`, which means
        `Linear` for linear physics, for others `LevenbergMarquardt`, and `TruncatedGaussNewton` in training.
        """
        return None

    @property
    def solver_of_parts(self) -> Any:
        """
        The numerical solver, an `InverseSolver`, by which `inverse` inverts the physics in the fields of this one.
        Default: `None`, each as it is inverted by itself.
        """
        return None

    @property
    def measures_noise(self) -> bool:
        """Whether `inverse` measures the noise in y*, so that `noise_energy` is not known: `noise_std` says how."""
        return isinstance(getattr(self, "noise_std", None), NoiseMeasurement)

    def sufficient_precision(self, y_target: Any) -> int:
        """
        Returns the floating point precision in bits that loses nothing of an observation; default: that of `y_target`.

        The physics runs in the precision of the data, so `y_target` cast to this one is inverted as well, and faster if
        it is lower.

        Args:
            y_target: Typical observations.
        """
        return trees.precision_of(y_target)

    @abstractmethod
    def forward(self, x: Any) -> Any:
        """
        y = P(x).

        Args:
            x: State: a `Field`, a `Tensor`, or a tree of them.

        Returns:
            Observation y, differentiable with respect to x.
        """

    def inverse(self, y_target: Any, x: Any, y: Any) -> Correction:
        """
        Local inverse x̃ = P⁻¹(y_target; x), in closed form.

        Args:
            y_target: Observation to be explained.
            x: State around which to invert.
            y: `forward(x)`, passed so that nothing is simulated twice.

        Returns:
            `Correction` x̃ − x.
        """
        raise NotImplementedError(f"{type(self).__name__} has no closed-form inverse")

    def constrain(self, x: Any, y_target: Any) -> Any:
        """
        Imposes on a prediction x what `y_target` determines exactly, e.g. a conserved mean. Default: x as it is.

        Args:
            x: Predicted state.
            y_target: Observation.

        Returns:
            State like `x`, differentiable with respect to it.
        """
        return x

    def initial_state(self, y_target: Any) -> Any:
        """
        x₀, from which an observation is inverted when nothing else is known of its state.

        Default: zero, like y*, with what `constrain` imposes. Physics whose states have other dims than their
        observations, or are found from elsewhere, say so here.

        Args:
            y_target: Observation.
        """
        return self.constrain(trees.scale(y_target, 0), y_target)

    def admissible(self, x: Any) -> Any:
        """
        Returns the state nearest to x that the prior of the physics allows, e.g. one without negative values. Default:
        x itself.

        Args:
            x: State.
        """
        return x

    def add_noise(self, y: Any, normal: Any, known: Mapping[str, Any]) -> Any:
        """
        Returns y + n, an observation of the same state with measurement errors of the kind that the physics has.
        Default: white noise, n = σ · normal. Physics that do not observe everything leave the rest as it is.

        Args:
            y: Observation without noise.
            normal: Independent standard normal numbers, like y.
            known: What is known of the noise: σ as `noise_std`, and what else an inversion has measured of it, as its
                `stats` hold it.
        """
        return trees.add(y, trees.scale(normal, known["noise_std"]))

    @property
    def rules_see_observation_only(self) -> bool:
        """
        Whether `inverse` gives its `regularization` one problem, whose observation is y*. Then what one rule fits to y*
        serves others.
        """
        return False

    @property
    def has_white_noise(self) -> bool:
        """Whether the noise that `add_noise` adds is white and Gaussian, up to its size."""
        return True

    @property
    def has_inverse(self) -> bool:
        """Whether `inverse` is implemented."""
        return type(self).inverse is not InvertiblePhysics.inverse


def _parameters(item: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the parameters in a physics, or in something that one holds, by name."""
    if isinstance(item, InvertiblePhysics) and prefix:
        yield from ((f"{prefix}.{name}", value) for name, value in item.network_parameters.items())
    elif isinstance(item, InvertiblePhysics):
        for entry in fields(item):
            if entry.name not in ("noise_std", "x_scale"):  # which say how it is inverted, not what happens
                yield from _parameters(getattr(item, entry.name, None), entry.name)
    elif isinstance(item, (Real, Tensor, Field)) and not isinstance(item, bool):
        yield prefix, item
    elif isinstance(item, Mapping):
        for key, value in item.items():
            yield from _parameters(value, f"{prefix}.{key}")
    elif isinstance(item, (tuple, list)):
        for place, value in enumerate(item):
            yield from _parameters(value, f"{prefix}.{place}")
