"""Physics whose states belong to a family: the nearest state against NumPy, and inverses that never leave it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fields import array, grid, periodic, smooth
from phiml import math
from phiml.math import batch, extrapolation, spatial

from phi_sip import (
    AffineSubspace,
    Composite,
    EmpiricalBayes,
    Evolution,
    GridMismatchError,
    HeatEquation,
    IncompressibleFlow,
    Masked,
    NonFiniteError,
    ParameterError,
    Poisson,
    Projected,
    UnsupportedError,
    get_physics,
    sip_inverse,
    sip_update_weights,
)
from phi_sip.compilation.keys import of_parameters

SAMPLES, CELLS = 3, (8, 6)


def fields(count: int, seed: int = 0, samples: int = SAMPLES) -> list[Any]:
    rng = np.random.default_rng(seed)
    found = [periodic(smooth(rng, samples, *CELLS)) for _ in range(count)]
    return [field[{"batch": 0}] for field in found] if samples == 1 else found


def nearest(basis: list[Any], origin: Any, x: Any) -> np.ndarray:
    """The same by SciPy's least squares, sample by sample."""
    found = []
    for i, values in enumerate(array(x)):
        columns = np.stack([(array(f)[i] if "batch" in f.shape else array(f)).ravel() for f in basis], 1)
        start = 0.0 if origin is None else array(origin)[i]
        weights = np.linalg.lstsq(columns, (values - start).ravel(), rcond=None)[0]
        found.append((columns @ weights).reshape(values.shape) + start)
    return np.stack(found)


def member(family: AffineSubspace, *weights: float) -> Any:
    """o + Σ w_j b_j."""
    terms = [field * weight for field, weight in zip(family.basis, weights, strict=True)]
    return sum(terms[1:], terms[0]) + (0 if family.origin is None else family.origin)


@pytest.mark.parametrize("has_origin", [False, True])
@pytest.mark.parametrize("samples", [1, SAMPLES])
def test_the_nearest_state_is_that_of_least_squares(framework, double, samples, has_origin):
    """With fields for each sample or the same for all, far from orthogonal, and one that adds nothing."""
    basis = fields(3, samples=samples)
    basis[1] = basis[0] + 1e-3 * basis[1]
    x, origin = fields(1, seed=1)[0], fields(1, seed=2)[0] if has_origin else None
    for chosen in (basis, [*basis, basis[0] * 2 - basis[2]]):
        project = AffineSubspace(chosen, origin)
        found = project(x)
        np.testing.assert_allclose(array(found), nearest(basis, origin, x), atol=1e-10)
        np.testing.assert_allclose(array(project(found)), array(found), atol=1e-12)
        for field in basis:
            products = np.sum(array(field) * (array(x) - array(found)), (-2, -1))
            assert np.abs(products).max() < 1e-10


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_the_unit_of_the_fields_does_not_matter(unit):
    basis, (x,) = fields(2), fields(1, seed=1)
    found = AffineSubspace([basis[0], unit * basis[1]])(x)
    np.testing.assert_allclose(array(found), array(AffineSubspace(basis)(x)), atol=1e-5)


def test_states_of_several_fields(double):
    """⟨u, v⟩ is the sum over all parts: here (u, u_t) of a wave."""
    basis = [tuple(fields(2, seed)) for seed in (0, 1)]
    x = tuple(fields(2, seed=2))
    found = AffineSubspace(basis)(x)
    joined = [periodic(np.concatenate([array(part) for part in state], 2)) for state in (*basis, x, found)]
    np.testing.assert_allclose(array(joined[3]), nearest(joined[:2], None, joined[2]), atol=1e-12)


def flow(samples: int = SAMPLES) -> IncompressibleFlow:
    marker = smooth(np.random.default_rng(1), samples, 16, 12)
    return IncompressibleFlow(math.wrap(marker, batch("batch"), spatial("x,y")), 0.25, 4)


def velocity_family(samples: int = SAMPLES, seed: int = 0) -> AffineSubspace:
    rng = np.random.default_rng(seed)

    def velocity() -> Any:
        values = np.stack([smooth(rng, samples, 16, 12) for _ in "xy"], -1)
        return flow(samples).constrain(periodic(values, vector=True), None)

    return AffineSubspace([velocity()], velocity())


def heat(**options: Any) -> HeatEquation:
    return HeatEquation(0.3, 1.0, 1e-3, **options)


def saturate(u: Any, dt: float) -> Any:
    return u - dt * u**3


PHYSICS: dict[str, tuple[Callable[[], Any], Callable[[], AffineSubspace], str | None]] = {
    "closed form": (heat, lambda: AffineSubspace(fields(2)), None),
    "reverse simulation": (flow, velocity_family, None),
    "default solver": (lambda: Evolution(saturate, 0.01, 4), lambda: AffineSubspace(fields(2)), None),
    "another solver": (lambda: Evolution(saturate, 0.01, 4), lambda: AffineSubspace(fields(2)), "time-reversal"),
    "a chain": (
        lambda: Composite(Evolution(saturate, 0.01, 2), HeatEquation(0.05, 1.0)),
        lambda: AffineSubspace(fields(2), fields(1, seed=5)[0]),
        None,
    ),
}


@pytest.mark.usefixtures("on_torch", "double")
@pytest.mark.parametrize("case", PHYSICS)
def test_the_corrected_state_is_the_projected_one(case):
    make_physics, make_family, solver = PHYSICS[case]
    physics, family = make_physics(), make_family()
    projected = Projected(physics, family, solver)
    y_target = physics.forward(member(family, *[1.0] * len(family.basis)))
    x = member(family, *[0.7] * len(family.basis)) + 0.1 * fields_like(family.basis[0])
    step = sip_inverse(projected, y_target, x)
    free = sip_inverse(physics, y_target, x, solver=solver)
    np.testing.assert_allclose(array(step.x_target), array(family(free.x_target)), atol=1e-12)
    np.testing.assert_allclose(array(step.y), array(free.y))
    assert set(step.stats) == set(free.stats)


def fields_like(field: Any) -> Any:
    noise = np.random.default_rng(7).standard_normal(array(field).shape)
    return periodic(noise, vector="vector" in field.values.shape)


@pytest.mark.usefixtures("on_torch", "double")
def test_a_family_finds_what_an_observation_does_not_determine():
    """Two numbers from a blurred observation with noise: the family leaves less than half of the error of the rule."""
    family = AffineSubspace(fields(2), fields(1, seed=2)[0])
    x = member(family, 0.8, -1.2)
    noise = periodic(1e-3 * np.random.default_rng(3).standard_normal((SAMPLES, *CELLS)))
    physics = HeatEquation(2.0, 1.0, 1e-3)
    y_target = physics.forward(x) + noise
    errors = [
        np.linalg.norm(array(sip_inverse(p, y_target, p.initial_state(y_target)).x_target) - array(x))
        for p in (physics, Projected(physics, family))
    ]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.usefixtures("on_torch", "double")
def test_where_it_starts_and_what_it_admits_belong_to_the_family():
    family = AffineSubspace(fields(2), fields(1, seed=2)[0])
    physics = Projected(heat(), family)
    x = fields(1, seed=4)[0]
    np.testing.assert_allclose(array(physics.admissible(x)), array(family(x)))
    np.testing.assert_allclose(array(physics.initial_state(x)), array(family(heat().initial_state(x))))


@pytest.mark.usefixtures("on_torch", "double")
def test_the_gradient_through_the_physics_is_left_alone():
    physics, family = flow(), velocity_family()
    y_target, x = physics.forward(member(family, 1.0)), member(family, 0.5)
    steps = [sip_inverse(p, y_target, x, solver="gradient") for p in (physics, Projected(physics, family))]
    np.testing.assert_array_equal(array(steps[0].dx), array(steps[1].dx))


@pytest.mark.usefixtures("on_torch", "double")
def test_the_uncertainty_is_that_of_the_weights():
    """
    Of a family of one field q the posterior has one number, w = ⟨q, x⟩ / ‖q‖², and x̃ = w q the deviation |q| √Var w,
    with Var w from 4,000 states of the posterior without a family.
    """
    q = periodic(np.cos(2 * np.pi * (np.arange(8) + 0.5) / 8)[None, :, None] * np.ones((1, 1, 6)))
    rule = EmpiricalBayes()
    free, projected = heat(regularization=rule), Projected(heat(regularization=rule), AffineSubspace([q]))
    y_target = free.forward(q) + 1e-3 * periodic(np.random.default_rng(3).standard_normal((1, *CELLS)))
    steps = [sip_inverse(p, y_target, p.initial_state(y_target)) for p in (free, projected)]
    states = steps[0].draw(4000, np.random.default_rng(1)).values.numpy("batch,posterior_samples,x,y")[0]
    expected = np.abs(array(q)) * weights_of(states, q).std()
    np.testing.assert_allclose(array(steps[1].uncertainty), expected, rtol=0.12, atol=1e-12)
    drawn = steps[1].draw(3, np.random.default_rng(1))
    few = steps[0].draw(3, np.random.default_rng(1)).values.numpy("batch,posterior_samples,x,y")[0]
    np.testing.assert_allclose(
        drawn.values.numpy("batch,posterior_samples,x,y")[0], weights_of(few, q)[:, None, None] * array(q)[0]
    )


def weights_of(states: np.ndarray, q: Any) -> np.ndarray:
    return np.sum(states * array(q)[0], (1, 2)) / np.sum(array(q) ** 2)


def test_updates_stay_in_the_family_and_compile_once(framework):
    """Families that differ in values are inputs of what is compiled."""
    net = framework.u_net(1, 2, batch_norm=False, levels=1, filters=2)
    optimizer = framework.adam(net, 1e-2)
    kinds = set()
    for seed in range(3):
        family = velocity_family(2, seed)
        physics = Projected(flow(2), family)
        y_target = flow(2).forward(member(family, 1.0))
        update = sip_update_weights(net, optimizer, physics, y_target, inputs=("y",))
        assert update.applied
        kinds.add(of_parameters(physics))
        target = array(update.x_target)
        np.testing.assert_allclose(target, array(family(update.x_target)), atol=1e-4 * np.abs(target).max())
    assert len(kinds) == 1


@pytest.mark.slow
def test_a_network_learns_the_number_that_is_not_known(framework):
    """From flows of one family: most of the error of the velocity goes, although the target has one free number."""
    net = framework.u_net(1, 2, batch_norm=False, levels=2, filters=4)
    optimizer = framework.adam(net, 1e-2)
    family = velocity_family(2)
    physics, x = Projected(flow(2), family), member(family, 1.0)
    y_target = physics.forward(x)
    losses = [
        float(sip_update_weights(net, optimizer, physics, y_target, inputs=("y",), x_true=x).x_l2.mean)
        for _ in range(15)
    ]
    assert min(losses) < 0.1 * losses[0]


ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no physics": (lambda: Projected(1.0, abs), UnsupportedError, "HeatEquation"),
    "no function": (lambda: Projected(heat(), 1.0), UnsupportedError, "AffineSubspace"),
    "no such solver": (lambda: Projected(heat(), abs, "newton"), LookupError, "newton"),
    "no field": (lambda: AffineSubspace([]), ParameterError, "at least one"),
    "one field, not in a list": (lambda: AffineSubspace(fields(1)[0]), ParameterError, "Give a list"),
    "not finite": (lambda: AffineSubspace([fields(1)[0] * np.nan]), NonFiniteError, "basis"),
    "origin not finite": (lambda: AffineSubspace(fields(1), fields(1)[0] * np.inf), NonFiniteError, "origin"),
    "origin elsewhere": (
        lambda: AffineSubspace(fields(1), grid(np.ones((SAMPLES, *CELLS)), None, extrapolation.ZERO)),
        GridMismatchError,
        "boundary",
    ),
    "x elsewhere": (lambda: AffineSubspace(fields(1))(periodic(np.ones((1, 5, 5)))), GridMismatchError, "basis"),
    "another shape": (
        lambda: sip_inverse(Projected(Poisson(), lambda x: math.mean(x.values, "x")), fields(1)[0], fields(1)[0] * 0),
        GridMismatchError,
        r"project\(x\)",
    ),
    "a part of it": (lambda: Masked(Projected(heat(), abs), math.ones(spatial(x=8, y=6))), ParameterError, "project"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input_is_refused(case):
    function, error, message = ERRORS[case]
    with pytest.raises(error, match=message):
        function()


def test_it_is_registered():
    physics = get_physics("projected", physics=heat(), project=abs)
    assert isinstance(physics, Projected)
    assert physics.is_linear
    assert physics.noise_std == 1e-3
