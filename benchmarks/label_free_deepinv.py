"""
The self-supervised losses of DeepInverse 0.5 (deepinv) for `label_free.py`: the same network, data and steps.

What it is given that `phi_sip` is not: σ, but for UNSURE. What it is given as `phi_sip` is: that the mean is conserved,
and, where the inputs say so, the estimates of the inverse. No derivative is taken through an estimate, as none is
needed: the divergence in SURE is that of finite differences, for which estimates are computed anew.

| method | loss | settings |
|---|---|---|
| SURE | `SureGaussianLoss` | differences over τ = σ / 10 |
| SURE, B | the same, B = `prox_l2` | γ = Var y / σ²: the Wiener filter for white states |
| UNSURE | the same, `unsure=True` | the documentation's: begins at 0.05, step size 1e-4, τ = 1e-2 |
| R2R | `R2RLoss` | α = 0.15, 5 samples for inference |
| SURE + scaling | SURE and `EILoss(Scale())` | gradient stopped at the scaled state, as its authors do |
| SURE, B + scaling | both | both |

Source: https://deepinv.github.io; Tachella et al., "DeepInverse", JOSS 2025.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phi.torch import TORCH
from phiml import math
from phiml.math import batch, extrapolation, spatial

from phi_sip import EmpiricalBayes, HeatEquation, sip_inverse
from phi_sip.teacher import WeightAverage

if TYPE_CHECKING:
    from deepinv.loss import Loss
    from deepinv.physics import Physics

ALPHA, SAMPLES = 0.15, 5
FIRST_GUESS, STEP_SIZE, WIDE = 0.05, 1e-4, 1e-2
Y, ALL = ("y",), ("y", "estimate", "linear")


@dataclass(frozen=True)
class Setting:
    """
    What losses are made for.

    Attributes:
        physics: That of deepinv.
        noise: σ.
        fluctuation: Standard deviation of y.
        seed: For random transformations.
    """

    physics: Physics
    noise: float
    fluctuation: float
    seed: int


@dataclass(frozen=True)
class DeepInverse:
    """A sum of losses."""

    losses: tuple[Callable[[Setting], Loss], ...]

    def trainer(self, net: torch.nn.Module, optimizer: Any, problem: Any, inputs: Sequence[str], seed: int) -> Trainer:
        """What trains and evaluates a network."""
        shown = Shown(net, problem.physics, inputs)
        setting = Setting(heat(problem), problem.noise, float(problem.y.std()), seed)
        return Trainer(shown, setting.physics, [make(setting) for make in self.losses], optimizer)


def sure(setting: Setting) -> Loss:
    import deepinv

    return deepinv.loss.SureGaussianLoss(setting.noise, setting.noise / 10)


def sure_preconditioned(setting: Setting) -> Loss:
    import deepinv

    gamma = (setting.fluctuation / setting.noise) ** 2
    precondition = lambda y: setting.physics.prox_l2(0, y, gamma)  # noqa: E731
    return deepinv.loss.SureGaussianLoss(setting.noise, setting.noise / 10, precondition)


def unsure(setting: Setting) -> Loss:
    import deepinv

    return deepinv.loss.SureGaussianLoss(FIRST_GUESS, WIDE, unsure=True, step_size=STEP_SIZE, momentum=0.9)


def recorrupted(setting: Setting) -> Loss:
    import deepinv

    return deepinv.loss.R2RLoss(noise_model=setting.physics.noise_model, alpha=ALPHA, eval_n_samples=SAMPLES)


def scaling(setting: Setting) -> Loss:
    import deepinv

    scale = deepinv.transform.Scale(rng=torch.Generator().manual_seed(setting.seed))
    return deepinv.loss.EILoss(scale, no_grad=True)


LOSSES: dict[str, DeepInverse] = {
    "SURE": DeepInverse((sure,)),
    "SURE, B": DeepInverse((sure_preconditioned,)),
    "UNSURE": DeepInverse((unsure,)),
    "R2R": DeepInverse((recorrupted,)),
    "SURE + scaling": DeepInverse((sure, scaling)),
    "SURE, B + scaling": DeepInverse((sure_preconditioned, scaling)),
}
METHODS = {f"deepinv {name}, y alone": (loss, Y) for name, loss in LOSSES.items()} | {
    f"deepinv {name}": (loss, ALL) for name, loss in LOSSES.items()
}


class Trainer:
    """The step of deepinv's `Trainer`, without what it shows and saves."""

    def __init__(self, model: torch.nn.Module, physics: Physics, losses: Iterable[Loss], optimizer: Any) -> None:
        self.physics, self.losses, self.optimizer = physics, list(losses), optimizer
        for loss in self.losses:
            model = loss.adapt_model(model)
        self.model = model
        self.average = WeightAverage(model)

    def update(self, y: Field, x_true: Field) -> None:
        """One step, of which the true state is no part."""
        given = native(y)
        self.model.train()
        self.optimizer.zero_grad()
        x = self.model(given, self.physics, update_parameters=True)
        found = [loss(x_net=x, y=given, physics=self.physics, model=self.model) for loss in self.losses]
        sum(loss.mean() for loss in found).backward()
        self.optimizer.step()
        self.average.follow()

    def predict(self, y: Field) -> Field:
        """x = f(y*) for inference."""
        self.model.eval()
        with torch.no_grad(), self.average.answering():
            return field(self.model(native(y), self.physics))


class Shown(torch.nn.Module):
    """A network that is shown estimates and adds to the first of them, as a reconstruction network of deepinv."""

    def __init__(self, net: torch.nn.Module, physics: HeatEquation, inputs: Sequence[str]) -> None:
        super().__init__()
        self.net, self.inputs = net, tuple(inputs)
        self.inverses = {
            "estimate": physics,
            "linear": dataclasses.replace(physics, regularization=EmpiricalBayes()),
        }

    def forward(self, y: torch.Tensor, physics: Any = None, **options: Any) -> torch.Tensor:
        y = y.as_subclass(torch.Tensor)  # what deepinv has scaled is of a class of its own
        estimates = [self._estimate(self.inverses[name], y) for name in self.inputs if name != "y"]
        x = self.net(torch.cat([y, *estimates], 1))
        if estimates:
            x = x + estimates[0]
        return x + (y - x).mean((-2, -1), keepdim=True)

    @staticmethod
    def _estimate(physics: HeatEquation, y: torch.Tensor) -> torch.Tensor:
        observed = field(y.detach())
        return native(sip_inverse(physics, observed, physics.initial_state(observed)).x_target)


def heat(problem: Any) -> Physics:
    """Heat conduction on the grid of a problem, with white noise, decomposed into its modes."""
    import deepinv

    class Heat(deepinv.physics.DecomposablePhysics):
        def U(self, x: torch.Tensor) -> torch.Tensor:  # noqa: N802
            return torch.fft.irfft2(torch.view_as_complex(x), norm="ortho", s=problem.y.shape[-2:])

        def V_adjoint(self, x: torch.Tensor) -> torch.Tensor:  # noqa: N802
            return torch.view_as_real(torch.fft.rfft2(x, norm="ortho"))

        V, U_adjoint = U, V_adjoint

    rows, columns = problem.y.shape[-2:]
    kx, ky = 2 * np.pi * np.fft.fftfreq(rows), 2 * np.pi * np.fft.rfftfreq(columns)
    amount = problem.physics.diffusivity * problem.physics.time
    gain = torch.as_tensor(np.exp(-amount * (kx[:, None] ** 2 + ky**2)), dtype=torch.float32)
    device = TORCH.get_default_device().ref
    noise = deepinv.physics.GaussianNoise(problem.noise)
    return Heat(mask=gain[..., None], noise_model=noise, device=device).to(device)


def native(values: Field) -> torch.Tensor:
    """Values (batch, 1, x, y) on the device that PhiFlow takes."""
    tensor: torch.Tensor = math.convert(values.values).native("batch,x,y")
    return tensor[:, None]


def field(values: torch.Tensor) -> Field:
    """The inverse of `native`."""
    cells = values.shape[-1]
    dims = [batch(batch=len(values)), spatial(x=values.shape[-2]), spatial(y=cells)]
    return CenteredGrid(
        math.reshaped_tensor(values[:, 0], dims, convert=False), extrapolation.PERIODIC, Box(x=cells, y=cells)
    )
