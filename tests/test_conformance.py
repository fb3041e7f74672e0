"""Every physics, one row each, on all frameworks; and the check itself against physics that are wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from fields import grid, periodic, smooth
from phi.field import Field
from phi.geom import Sphere
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, extrapolation, instance, spatial

from phi_sip import (
    AffineSubspace,
    Burgers,
    Composite,
    Control,
    Correction,
    Darcy,
    DifferentiablePhysics,
    EmpiricalBayes,
    Evolution,
    Exponential,
    HeatEquation,
    Helmholtz,
    HeterogeneousHeat,
    IncompressibleFlow,
    InverseSolver,
    InvertiblePhysics,
    Masked,
    NavierStokes,
    ParameterError,
    Poisson,
    PowerLaw,
    ProbabilisticDamping,
    Projected,
    PublishedDamping,
    RotatedSine,
    Sensors,
    Sparse,
    Tikhonov,
    TotalVariation,
    Wave,
    Wiener,
    get_solver,
)
from phi_sip.data import point_sources
from phi_sip.testing import PhysicsCheckError, check_physics


def spots(samples: int, *cells: int) -> Callable[[], Any]:
    """Two points in each sample, the prior of `Sparse`."""
    shape = batch(batch=samples), spatial(**dict(zip("xyz", cells, strict=False)))
    return lambda: point_sources(*shape, count=(2, 2), seed=0)


def field(*shape: int, **options: Any) -> Callable[[], Any]:
    return lambda: periodic(1 + smooth(np.random.default_rng(0), *shape), **options)


def bounded(*shape: int, boundary: Any) -> Callable[[], Any]:
    return lambda: grid(1 + smooth(np.random.default_rng(0), *shape), None, boundary)


def source(*shape: int, boundary: Any = extrapolation.PERIODIC) -> Callable[[], Any]:
    """Without a mean, as Poisson's equation needs it where no side is fixed."""
    values = smooth(np.random.default_rng(0), *shape)
    axes = tuple(range(1, len(shape)))
    return lambda: grid(values - values.mean(axes, keepdims=True), None, boundary)


def pairs(samples: int) -> Any:
    values = 0.3 * np.random.default_rng(0).standard_normal((samples, 2))
    return math.tensor(values, batch("batch"), channel("vector"))


def checkered() -> Any:
    return math.wrap((np.indices((12, 10)).sum(0) % 3 > 0).astype(float), spatial("x,y"))


def anywhere(samples: int | None = None) -> Any:
    """Positions of sensors; with a number of samples, those of each."""
    dims = [batch("batch")] if samples else []
    at = np.random.default_rng(2).uniform(size=(*([samples] if samples else []), 40, 2)) * [12, 10]
    return math.wrap(at, *dims, instance("sensors"), channel(vector="x,y"))


def permeability(*shape: int) -> Callable[[], Any]:
    """log a, between walls that drive a flow through."""
    return lambda: grid(smooth(np.random.default_rng(0), *shape), None, {"x": (0.0, 9.0), "y": INSULATED})


def medium() -> Any:
    return math.wrap(np.exp(smooth(np.random.default_rng(3), 1, 12, 10)[0]), spatial("x,y"))


def moving(*shape: int, boundary: Any = extrapolation.PERIODIC) -> Callable[[], Any]:
    """Waves (u, u_t)."""
    rng = np.random.default_rng(0)
    return lambda: tuple(grid(smooth(rng, *shape), None, boundary) for _ in range(2))


def in_three_steps(*shape: int) -> Callable[[], Any]:
    """Forces, one after the other."""

    def make() -> Any:
        force = field(*shape)()
        return force.with_values(math.stack([force.values * f for f in (1.0, -0.5, 0.2)], channel("time")))

    return make


def velocity(*shape: int) -> Callable[[], Any]:
    rng = np.random.default_rng(0)
    return lambda: periodic(np.stack([smooth(rng, *shape) for _ in shape[1:]], -1), vector=True)


def swirl(*shape: int) -> Callable[[], Any]:
    """A divergence-free velocity."""
    return lambda: flow().constrain(velocity(*shape)(), None)


def flow() -> IncompressibleFlow:
    marker = smooth(np.random.default_rng(1), 3, 16, 12)
    return IncompressibleFlow(math.wrap(marker, batch("batch"), spatial("x,y")), 0.25, 4)


def family() -> AffineSubspace:
    """Fields of two parameters, each sample its own."""
    rng = np.random.default_rng(4)
    return AffineSubspace([periodic(smooth(rng, 3, 12, 10)) for _ in range(2)], periodic(smooth(rng, 3, 12, 10)))


def of_family() -> Any:
    first, second = family().basis
    return family()(first - 0.5 * second)


def body(*samples: int) -> Any:
    """A diffusivity that varies tenfold and more, 0 in one cell; the same for all samples, or not."""
    values = np.exp(0.7 * np.random.default_rng(3).standard_normal((*samples, 12, 10)))
    values[..., 7, 2] = 0
    return math.wrap(0.1 * values, *[batch(batch=n) for n in samples], spatial("x,y"))


def saturate(u: Any, dt: float) -> Any:
    return u - dt * u**3


INSULATED = extrapolation.ZERO_GRADIENT
MIXED = {"x": extrapolation.PERIODIC, "y": (INSULATED, 0)}
VALUES = {"x": (1.0, 2.0), "y": (INSULATED, 0.5)}


# name → physics, sample states. A new physics is a new row.
CASES: dict[str, tuple[Callable[[], InvertiblePhysics], Callable[[], Any]]] = {
    "heat-1d": (lambda: HeatEquation(0.5, 1.0, regularization=EmpiricalBayes()), field(3, 24)),
    "heat-2d": (lambda: HeatEquation(0.5, 1.0), field(3, 12, 10)),
    "heat-2d-cells": (lambda: HeatEquation(0.5, 1.0), field(3, 12, 10, dx=(0.5, 2.0))),
    "heat-3d": (lambda: HeatEquation(0.5, 1.0, regularization=EmpiricalBayes()), field(2, 8, 6, 5)),
    "heat-noise": (lambda: HeatEquation(0.5, 1.0, 1e-4), field(3, 12, 10)),
    "heat-batch": (lambda: HeatEquation(math.tensor([0.1, 1.0, 2.0], batch("batch")), 0.5), field(3, 12, 10)),
    "heat-insulated": (
        lambda: HeatEquation(0.5, 1.0, regularization=EmpiricalBayes()),
        bounded(3, 12, 10, boundary=INSULATED),
    ),
    "heat-fixed": (lambda: HeatEquation(0.5, 1.0, regularization=EmpiricalBayes()), bounded(3, 24, boundary=0)),
    "heat-mixed": (lambda: HeatEquation(0.5, 1.0), bounded(3, 12, 10, boundary=MIXED)),
    "heat-values": (lambda: HeatEquation(0.5, 1.0, 1e-4), bounded(3, 12, 10, boundary=VALUES)),
    "heat-anisotropic": (lambda: HeatEquation(math.vec(x=0.5, y=0.1), 1.0), field(3, 12, 10)),
    "heat-times": (lambda: HeatEquation(0.5, math.wrap([0.5, 2.0], channel("times"))), field(3, 12, 10)),
    "heat-wiener": (lambda: HeatEquation(0.5, 1.0, 1e-4, Wiener(PowerLaw(0.1, 3.0))), field(3, 12, 10)),
    "heat-empirical": (lambda: HeatEquation(0.5, 1.0, 1e-4, EmpiricalBayes()), field(3, 12, 10)),
    "heat-damping": (lambda: HeatEquation(0.5, 1.0, 1e-4, ProbabilisticDamping()), field(3, 12, 10)),
    "heat-tikhonov": (lambda: HeatEquation(0.5, 1.0, 1e-4, Tikhonov(1e-6)), field(3, 12, 10)),
    "heat-points": (lambda: HeatEquation(0.5, 1.0, 1e-4, Sparse()), spots(3, 12, 10)),
    "heat-edges": (lambda: HeatEquation(0.5, 1.0, 1e-4, TotalVariation()), field(3, 12, 10)),
    "masked": (lambda: Masked(HeatEquation(0.05, 1.0, 0.0), checkered()), field(3, 12, 10)),
    "masked-fitted": (lambda: Masked(HeatEquation(0.05, 1.0), checkered()), field(3, 12, 10)),
    "masked-edges": (lambda: Masked(HeatEquation(0.05, 1.0, 1e-4, TotalVariation()), checkered()), field(3, 12, 10)),
    "masked-wiener": (
        lambda: Masked(HeatEquation(0.05, 1.0, 1e-4, Wiener(PowerLaw(0.05, 3.0))), checkered()),
        field(3, 12, 10),
    ),
    "sensors": (lambda: Sensors(HeatEquation(0.5, 1.0, 0.0), anywhere(), field(3, 12, 10)()), field(3, 12, 10)),
    "sensors-each": (
        lambda: Sensors(HeatEquation(0.5, 1.0, 0.0), anywhere(3), field(3, 12, 10)()),
        field(3, 12, 10),
    ),
    "evolution": (lambda: Evolution(saturate, 0.01, 4), field(3, 12, 10)),
    "wave-1d": (lambda: Wave(1.0, 0.5, 8), moving(3, 24)),
    "wave-insulated": (lambda: Wave(1.0, 0.5, 8), moving(3, 12, 10, boundary=INSULATED)),
    "wave-batch": (lambda: Wave(math.tensor([0.5, 1.0, 1.5], batch("batch")), 0.4, 8), moving(3, 12, 10, boundary=0)),
    "burgers-1d": (lambda: Burgers(0.5, 0.1, 2), field(3, 24)),
    "burgers-2d": (lambda: Burgers(0.2, 0.1, 1, 1e-4), velocity(3, 12, 10)),
    "flow": (flow, swirl(3, 16, 12)),
    "projected": (lambda: Projected(HeatEquation(0.5, 1.0, 1e-4, EmpiricalBayes()), family()), of_family),
    "projected-flow": (lambda: Projected(flow(), AffineSubspace([swirl(3, 16, 12)()])), swirl(3, 16, 12)),
    "projected-iterative": (lambda: Projected(Evolution(saturate, 0.01, 4), family()), of_family),
    "composite": (lambda: Composite(HeatEquation(0.05, 0.5), Evolution(saturate, 0.01, 4)), field(3, 12, 10)),
    "composite-known": (
        lambda: Composite(*[HeatEquation(0.05, 0.5, 1e-4, EmpiricalBayes()) for _ in range(2)]),
        field(3, 12, 10),
    ),
    "heat-published": (lambda: HeatEquation(0.5, 1.0, 0.0, PublishedDamping()), field(3, 12, 10)),
    "exponential": (lambda: Exponential(-1.5), field(3, 12, 10)),
    "rotated-sine": (lambda: RotatedSine(5.0, 0.7, 2.0), lambda: pairs(6)),
    "poisson-1d": (lambda: Poisson(), source(3, 24)),
    "poisson-2d": (lambda: Poisson(), source(3, 12, 10)),
    "poisson-3d": (lambda: Poisson(), source(2, 8, 6, 5)),
    "poisson-insulated": (lambda: Poisson(), source(3, 12, 10, boundary=INSULATED)),
    "poisson-fixed": (lambda: Poisson(), bounded(3, 24, boundary=0)),
    "poisson-mixed": (lambda: Poisson(), bounded(3, 12, 10, boundary=MIXED)),
    "poisson-values": (lambda: Poisson(), bounded(3, 12, 10, boundary=VALUES)),
    "poisson-noise": (lambda: Poisson(1e-3), source(3, 12, 10)),
    "helmholtz-1d": (lambda: Helmholtz(0.7), field(3, 24)),
    "helmholtz-2d": (lambda: Helmholtz(1.0), field(3, 12, 10)),
    "helmholtz-mixed": (lambda: Helmholtz(1.0), bounded(3, 12, 10, boundary=MIXED)),
    "helmholtz-values": (lambda: Helmholtz(0.5), bounded(3, 12, 10, boundary=VALUES)),
    "helmholtz-batch": (lambda: Helmholtz(math.tensor([0.0, 0.2, 2.0], batch("batch"))), bounded(3, 24, boundary=0)),
    "helmholtz-noise": (lambda: Helmholtz(1.0, 1e-3), field(3, 12, 10)),
    "heterogeneous-1d": (lambda: HeterogeneousHeat(math.wrap(np.arange(24.0) / 24, spatial("x")), 0.5), field(3, 24)),
    "heterogeneous-2d": (
        lambda: HeterogeneousHeat(body(), 0.1, obstacles=Sphere(x=4, y=5, radius=2)),
        bounded(3, 12, 10, boundary=INSULATED),
    ),
    "heterogeneous-values": (lambda: HeterogeneousHeat(body(), 0.1), bounded(3, 12, 10, boundary=VALUES)),
    "heterogeneous-batch": (lambda: HeterogeneousHeat(body(3), 0.5, 1e-4, max_diffusivity=2.0), field(3, 12, 10)),
    "darcy": (lambda: Darcy(source=1.0), permeability(3, 5, 4)),
    "darcy-batch": (lambda: Darcy(math.wrap([1.0, 0.5, -1.0], batch("batch"))), permeability(3, 6)),
    "darcy-source": (lambda: Darcy(coefficient=medium()), bounded(3, 12, 10, boundary=VALUES)),
    "darcy-source-periodic": (lambda: Darcy(coefficient=medium()), source(3, 12, 10)),
    "darcy-source-noise": (lambda: Darcy(coefficient=medium(), noise_std=0.05), bounded(3, 12, 10, boundary=0)),
    "navier-stokes": (lambda: NavierStokes(0.1, 0.25, 4, forcing=checkered()), field(3, 12, 10)),
    "control": (lambda: Control(HeatEquation(0.5, 0.5), field(3, 12)(), 3), in_three_steps(3, 12)),
    "control-nonlinear": (
        lambda: Control(DifferentiablePhysics(waning), field(3, 12)(), 3, cost=0.1, time_step=0.5),
        in_three_steps(3, 12),
    ),
}


def waning(u: Field) -> Field:
    return u.with_values(u.values - 0.1 * u.values**3)


WITHOUT_UNCERTAINTY = (
    "masked",
    "evolution",
    "wave-1d",
    "wave-insulated",
    "wave-batch",
    "burgers-1d",
    "burgers-2d",
    "flow",
    "projected-flow",
    "projected-iterative",
    "composite",
    "exponential",
    "rotated-sine",
    "heterogeneous-1d",
    "heterogeneous-2d",
    "heterogeneous-values",
    "heterogeneous-batch",
    "darcy",
    "darcy-batch",
    "darcy-source",
    "darcy-source-periodic",
    "darcy-source-noise",
    "navier-stokes",
    "control",
    "control-nonlinear",
)


WITH_POSTERIOR = (
    "heat-1d",
    "heat-3d",
    "heat-insulated",
    "heat-fixed",
    "heat-wiener",
    "heat-empirical",
    "masked-fitted",
    "masked-wiener",
    "sensors",
    "sensors-each",
    "composite-known",
    "projected",
)
EXACT = {case for case in CASES if case.startswith(("poisson", "helmholtz")) and not case.endswith("-noise")}


# One of each physics; with other settings it computes alike on all frameworks.
EVERYWHERE = {"heat-mixed", "masked", "evolution", "wave-1d", "composite", "exponential"}
EVERYWHERE |= {"rotated-sine", "poisson-2d", "heat-edges", "helmholtz-2d", "darcy-source", "control"}
ALIKE = pytest.mark.slow_on("tensorflow", "jax")


ELSEWHERE = pytest.mark.not_on("tensorflow", "jax")
MARKS = {(True, 32): (), (True, 64): ALIKE, (False, 32): ALIKE, (False, 64): ELSEWHERE}
CASES_IN_PRECISION = [
    pytest.param(case, precision, marks=MARKS[case in EVERYWHERE, precision])
    for case in CASES
    for precision in (32, 64)
]


@pytest.mark.parametrize(("case", "precision"), CASES_IN_PRECISION)
def test_registered_physics_conform(framework, case, precision):
    make_physics, make_x = CASES[case]
    with math.precision(precision):
        report = check_physics(make_physics(), make_x())
    assert not report.failed, str(report)
    skipped = {result.name for result in report.results if result.outcome == "skipped"}
    expected = {"uncertainty is a deviation"} if case in WITHOUT_UNCERTAINTY else set()
    expected |= set() if case in WITH_POSTERIOR or case in EXACT else {"draws spread as uncertain"}
    expected |= {"units of y do not matter"} if make_physics().has_inverse else set()
    assert skipped == expected, str(report)
    assert str(report).startswith(f"check_physics: {type(make_physics()).__name__}")


@dataclass(frozen=True)
class Good(InvertiblePhysics):
    name: ClassVar[str] = "good"

    def forward(self, x):
        return x * 2

    def inverse(self, y_target, x, y):
        return Correction((y_target - y) / 2)


class WrongSign(Good):
    def inverse(self, y_target, x, y):
        return Correction((y - y_target) / 2)


class TooFar(Good):
    def inverse(self, y_target, x, y):
        return Correction((y_target - y) * 5)


class MixesBatch(Good):
    def inverse(self, y_target, x, y):
        residual = y_target.values - y.values
        return Correction(x.with_values((residual + 0.1 * math.mean(residual, "batch")) / 2))


class LosesADim(Good):
    def inverse(self, y_target, x, y):
        return Correction(math.mean((y_target - y).values, "y") / 2)


class NaN(Good):
    def forward(self, x):
        return x * float("nan")


class Random(Good):
    def forward(self, x):
        return x * 2 + math.random_normal(x.values.shape) * 1e-3


class Doubles(Good):
    def forward(self, x):
        return x.with_values(math.cast(x.values * 2, math.DType(float, 32)))


class StopsGradient(Good):
    def forward(self, x):
        return x.with_values(math.stop_gradient(x.values) * 2)


class NeverRests(Good):
    def inverse(self, y_target, x, y):
        return Correction((y_target - y) / 2 + x * 0.02)


class WrongConstraint(Good):
    def constrain(self, x, y_target):
        return x * 0.5


class NegativeUncertainty(Good):
    def inverse(self, y_target, x, y):
        return Correction((y_target - y) / 2, lambda: x * 0 - 1)


class DrawsElsewhere(Good):
    spread: ClassVar[float] = 1.0  # around x

    def inverse(self, y_target, x, y):
        dx = (y_target - y) / 2

        def draw(count, generator):
            around = x if self.spread == 1 else x + dx
            normal = generator.standard_normal((count, *x.values.shape.sizes))
            return around + self.spread * math.wrap(normal, batch(posterior_samples=count), *x.values.shape)

        return Correction(dx, lambda: x * 0 + 0.01, draw=draw)


class DrawsTooFar(DrawsElsewhere):
    spread: ClassVar[float] = 0.03


class DrawsOfAnotherShape(Good):
    def inverse(self, y_target, x, y):
        return Correction((y_target - y) / 2, lambda: x * 0, draw=lambda count, generator: x)


class Nameless(Good):
    name: ClassVar[str] = ""


def doubled(values, derivative):
    """2 u with a derivative written by hand, from that of the output to that of u."""
    return math.custom_gradient(lambda u: 2 * u, lambda inputs, y, dy: {"u": derivative(dy)})(values)


class WrongDerivative(Good):
    def forward(self, x):
        return x.with_values(doubled(x.values, lambda dy: 3 * dy))


class NormalizesDerivative(Good):
    def forward(self, x):
        return x.with_values(doubled(x.values, lambda dy: 2 * dy / (1 + math.max(abs(dy), dy.shape))))


class AscendsInOne(Good):
    """Its mean over the batch descends."""

    def inverse(self, y_target, x, y):
        sign = math.wrap([1.0, 1.0, -1.0], batch("batch"))
        return Correction((y_target - y) * sign / 2)


class FixedLength(Good):
    """Right at 10 %, ten times too long at 1 %."""

    def inverse(self, y_target, x, y):
        residual = (y_target - y).values
        length = math.sqrt(math.sum(residual**2, residual.shape.non_batch))
        return Correction(x.with_values(math.safe_div(residual, length)))


class GradientOfSmall(Good):
    """y = 0.02 x by gradient descent, J = 0.02."""

    def forward(self, x):
        return x * 0.02

    def inverse(self, y_target, x, y):
        return Correction((y_target - y) * 0.02)


class Threshold(Good):
    """Leaves alone what it takes for noise, but does not say so."""

    def inverse(self, y_target, x, y):
        residual = (y_target - y).values
        return Correction(x.with_values(0.5 * math.where(abs(residual) > 0.03, residual, 0.2 * residual)))


class SolvesInPart(Good):
    """Does nothing for two thirds of the cells."""

    def inverse(self, y_target, x, y):
        residual = (y_target - y).values
        seen = math.wrap([1.0] + 2 * [0.0], spatial("x"))
        return Correction(x.with_values(0.5 * residual * math.concat([seen, seen, seen[{"x": slice(2)}]], "x")))


WRONG = {
    WrongSign: ("approaches the target", "Check sign and scale"),
    TooFar: ("approaches the target", "shorten the step"),
    MixesBatch: ("batch entries do not mix", "Reduce over spatial"),
    LosesADim: ("inverse keeps dims", "error|dims|structure|Error"),
    NaN: ("forward is finite", "stability"),
    Random: ("forward is repeatable", "random numbers"),
    Doubles: ("forward keeps precision", "64 bits"),
    StopsGradient: ("forward is differentiable", "stop_gradient"),
    NeverRests: ("inverse rests at the solution", "return 0"),
    WrongConstraint: ("constraint holds", "again"),
    NegativeUncertainty: ("uncertainty is a deviation", "standard deviation"),
    DrawsElsewhere: ("draws spread as uncertain", "is the mean"),
    DrawsTooFar: ("draws spread as uncertain", "is the mean"),
    DrawsOfAnotherShape: ("draws spread as uncertain", "batch dim posterior_samples"),
    Nameless: ("definition", "name"),
    WrongDerivative: ("forward is differentiable", "by hand"),
    AscendsInOne: ("inverse is a descent direction", "1 of 3 batch entries"),
    FixedLength: ("inverse is scale-invariant", "neither the gradient"),
    GradientOfSmall: ("inverse is scale-invariant", "2.5e\\+03 times as long"),
    Threshold: ("inverse is scale-invariant", "thresholds"),
    SolvesInPart: ("round trip", "best-conditioned"),
}


@ALIKE
@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_wrong_physics_are_caught_for_their_own_reason(framework, double, cls):
    check, remedy = WRONG[cls]
    with pytest.raises(PhysicsCheckError, match=f"{check}.*FAILED.*({remedy})"):
        check_physics(cls(), field(3, 8, 8)())


def test_derivatives_that_are_not_linear_are_caught(framework, double):
    """JAX has no forward mode where the reverse mode was written by hand."""
    check, adjoint = ("differentiable", "skipped") if framework.name == "jax" else ("adjoint", "FAILED")
    with pytest.raises(PhysicsCheckError, match=f"{check} *FAILED.*by hand") as caught:
        check_physics(NormalizesDerivative(), field(3, 8, 8)())
    assert f"derivatives are adjoint           {adjoint}" in str(caught.value)


SOLVERS = {
    "conjugate-gradient": "wave-1d",
    "gauss-newton": "rotated-sine",
    "levenberg-marquardt": "rotated-sine",
    "saddle-free-newton": "rotated-sine",
    "l-bfgs": "rotated-sine",
    "time-reversal": "evolution",
}


@ALIKE
@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_conform(framework, double, solver):
    make_physics, make_x = CASES[SOLVERS[solver]]
    assert not check_physics(make_physics(), make_x(), solver=solver).failed


@pytest.mark.parametrize("case", ["evolution", "rotated-sine"])
def test_gradient_does_not(framework, double, case):
    make_physics, make_x = CASES[case]
    with pytest.raises(PhysicsCheckError, match=r"units of y do not matter.*FAILED"):
        check_physics(make_physics(), make_x(), solver="gradient")


def test_solver_that_depends_on_units_is_caught(framework, double):
    """y = 2 x: a quarter of the gradient is right, in these units."""
    good = check_physics(Good(), field(3, 8, 8)(), solver="levenberg-marquardt")
    assert "Good by LevenbergMarquardt" in str(good)
    assert {result.name for result in good.results if result.outcome == "skipped"} == {
        "uncertainty is a deviation",
        "draws spread as uncertain",
    }
    with pytest.raises(PhysicsCheckError, match=r"units of y do not matter.*FAILED.*relative to the residual"):
        check_physics(Good(), field(3, 8, 8)(), solver=QuarterOfGradient())


class QuarterOfGradient(InverseSolver):
    def solve(self, physics, y_target, x, y):
        correction = get_solver("gradient").solve(physics, y_target, x, y)
        return Correction(correction.dx / 4)


def test_good_physics_pass(framework, double):
    report = check_physics(Good(), field(3, 8, 8)())
    assert not report.failed
    assert "uncertainty is a deviation" in str(report)


def test_numpy_skips_derivatives_and_says_so():
    with NUMPY, math.precision(64):
        report = check_physics(HeatEquation(0.5, 1.0), field(2, 8, 8)())
    skipped = [r for r in report.results if r.outcome == "skipped"]
    assert {r.name for r in skipped} == {
        "forward is differentiable",
        "derivatives are adjoint",
        "inverse is a descent direction",
        "units of y do not matter",
        "draws spread as uncertain",
    }


@pytest.mark.parametrize("case", ["evolution", "heat-2d"])
def test_precision_is_that_of_x(framework, case):
    make_physics, make_x = CASES[case]
    with math.precision(64):
        x = make_x()
    assert "64 bits" in str(check_physics(make_physics(), x))


def test_needs_a_batch():
    with pytest.raises(ParameterError, match="batch dim"):
        check_physics(Good(), field(1, 8, 8)())
