"""Several processes, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from phiml.math import Tensor

from ..contract.markers import hookimpl
from ..contract.physics import Correction, InvertiblePhysics
from ..errors import ParameterError, UnsupportedError
from ..inversion.default import correct
from .chain import Chain, Link


@dataclass(frozen=True, init=False)
class Composite(InvertiblePhysics):
    """
    A chain of processes, inverted from its end to its start:

        x_0 = x,   x_i = P_i(x_{i−1}),   y = x_n
        x̃_n = y*,   x̃_{i−1} = P_i⁻¹(x̃_i; x_{i−1}),   x̃ = x̃_0

    Each stage is inverted by its own closed form, or the default solver if it has none, towards the corrected input of
    the stage after it. Exact if all inverses are. `stats`: `stages`, those of the inverses from the first to the last.
    Imposes no constraint: what y* determines of x_{n−1} need not hold for x.

    The uncertainty is known, and states of the posterior are drawn, where every inverse has a posterior or is exact
    (`inverse_is_exact`): states x_{n−1} are drawn for y*, one x_{n−2} for each, and so on. If all inverses but that of
    P_1 are exact, the uncertainty is that of P_1. Elsewhere it is `None`: a standard deviation of x_{n−1} does not say
    which of its errors come together, and inverses amplify some of them only.

    Args:
        *physics: P_1, …, P_n, in the order in which they happen.
        stages: The same as one sequence, by name, for `get_physics` and `dataclasses.replace`.

    Raises:
        ParameterError: if there is no stage.
        UnsupportedError: if a stage is not an `InvertiblePhysics`.

    Example:
        Composite(Wave(1.0, 0.5, 20), Masked(...))
    """

    name: ClassVar[str] = "composite"

    stages: tuple[InvertiblePhysics, ...]

    def __init__(self, *physics: InvertiblePhysics, stages: Sequence[InvertiblePhysics] = ()) -> None:
        if not isinstance(stages, Sequence):
            raise UnsupportedError(f"Composite: stages is a {type(stages).__name__}. Give a list of InvertiblePhysics.")
        object.__setattr__(self, "stages", (*physics, *stages))
        if not self.stages:
            raise ParameterError("Composite needs at least one physics, e.g. Composite(first, second).")
        for stage in self.stages:
            if not isinstance(stage, InvertiblePhysics):
                raise UnsupportedError(
                    f"Composite: a stage is a {type(stage).__name__}. Give InvertiblePhysics objects; a function that "
                    f"advances a state becomes one by Evolution(step, time_step, steps)."
                )

    @property
    def is_linear(self) -> bool:
        """Whether all stages are linear."""
        return all(stage.is_linear for stage in self.stages)

    @property
    def inverse_is_exact(self) -> bool:
        """Whether the inverses of all stages are."""
        return all(stage.inverse_is_exact for stage in self.stages)

    @property
    def inverse_options(self) -> Mapping[str, Any]:
        """The options of the stages, as `stages[0].regularization`."""
        return {
            f"stages[{i}].{name}": value
            for i, stage in enumerate(self.stages)
            for name, value in stage.inverse_options.items()
        }

    @property
    def rule_of_state(self) -> Any:
        """That of the first stage."""
        return self.stages[0].rule_of_state

    @property
    def x_scale(self) -> Any:
        """That of the first stage."""
        return self.stages[0].x_scale

    @property
    def measures_noise(self) -> bool:
        """Whether the last stage measures the noise, as its output is observed."""
        return self.stages[-1].measures_noise

    def noise_energy(self, y: Any) -> Tensor | None:
        """Returns E‖n‖² of the last stage, whose output is observed."""
        return self.stages[-1].noise_energy(y)

    @property
    def noise_std(self) -> Any:
        """σ of the last stage, whose output is observed; `None` if it says none."""
        return getattr(self.stages[-1], "noise_std", None)

    def initial_state(self, y_target: Any) -> Any:
        """Returns what each stage begins with, from the last to the first."""
        for stage in reversed(self.stages):
            y_target = stage.initial_state(y_target)
        return y_target

    def admissible(self, x: Any) -> Any:
        """Returns the nearest state that the first stage allows."""
        return self.stages[0].admissible(x)

    @property
    def has_white_noise(self) -> bool:
        return self.stages[-1].has_white_noise

    def add_noise(self, y: Any, normal: Any, known: Mapping[str, Any]) -> Any:
        """Returns y + n, as the last stage has it."""
        return self.stages[-1].add_noise(y, normal, known)

    def forward(self, x: Any) -> Any:
        """Computes y = P_n(… P_1(x))."""
        return self.states(x)[-1]

    def states(self, x: Any) -> list[Any]:
        """Computes x_0 = x, x_1, …, x_n = y."""
        found = [x]
        for stage in self.stages:
            found.append(stage.forward(found[-1]))
        return found

    def inverse(self, y_target: Any, x: Any, y: Any) -> Correction:
        """Computes the corrections from the last stage to the first, see the class."""
        inputs = [x]
        for stage in self.stages[:-1]:
            inputs.append(stage.forward(inputs[-1]))
        outputs, target, links = [*inputs[1:], y], y_target, []
        for stage, before, after in zip(reversed(self.stages), reversed(inputs), reversed(outputs), strict=True):
            links.append(Link(stage, before, after, correct(stage, target, before, after)))
            target = links[-1].state
        chain = Chain(links)
        stats = {"stages": tuple(link.correction.stats for link in reversed(links))}
        return Correction(links[-1].correction.dx, chain.uncertainty, stats, chain.draw)


@hookimpl
def sip_physics() -> Sequence[type[InvertiblePhysics]]:
    return [Composite]
