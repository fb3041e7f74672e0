"""Every boundary: transforms against SciPy and matrices, heat against analytic modes and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
from fields import AXES, array, grid
from hypothesis import given, settings
from hypothesis import strategies as st
from phi.torch import TORCH
from phiml import math
from phiml.backend import NUMPY, choose_backend
from phiml.math import batch, channel, expand, extrapolation

from phi_sip import HeatEquation, ProbabilisticDamping, sip_inverse
from phi_sip.frameworks import operations_of
from phi_sip.spectral import SpectralBasis
from phi_sip.spectral.steady_state import steady_state

PERIODIC, INSULATED = extrapolation.PERIODIC, extrapolation.ZERO_GRADIENT

# kind of axis → its two sides, wave, half waves of the longest mode
KINDS = {
    "insulated": ((INSULATED, INSULATED), np.cos, 0.0),
    "fixed": ((0, 0), np.sin, 1.0),
    "insulated-fixed": ((INSULATED, 0), np.cos, 0.5),
    "fixed-insulated": ((0, INSULATED), np.sin, 0.5),
}
SIDES = {"periodic": (PERIODIC, PERIODIC), **{kind: row[0] for kind, row in KINDS.items()}}


def bounded(values, kinds, dx=None, vector=False):
    return grid(values, dx, {axis: SIDES[kind] for axis, kind in zip(AXES, kinds, strict=False)}, vector)


def matrix(kind, n):
    """Orthonormal modes as columns."""
    _, wave, first = KINDS[kind]
    columns = wave(np.pi * np.outer(np.arange(n) + 0.5, np.arange(n) + first) / n)
    return columns / np.linalg.norm(columns, axis=0)


def coefficients_of(field):
    basis = SpectralBasis.of(field)
    c = basis.transform(field.values)
    return basis, c, c.numpy(["batch", *basis.resolution.names])


@pytest.mark.parametrize("n", [1, 2, 7, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_transforms_of_one_axis(framework, double, kind, n):
    if framework.name == "jax" and n < 7:
        pytest.skip("each shape is compiled")
    values = np.random.default_rng(0).standard_normal((3, n))
    basis, coefficients, found = coefficients_of(bounded(values, [kind]))
    np.testing.assert_allclose(found, values @ matrix(kind, n), atol=1e-13)
    np.testing.assert_allclose(array(basis.inverse(coefficients)), values, atol=1e-13)


@pytest.mark.parametrize("n", [7, 8])
def test_transforms_are_those_of_scipy(n):
    values = np.random.default_rng(0).standard_normal((3, n))
    expected = {
        "insulated": scipy.fft.dct(values, type=2, norm="ortho"),
        "fixed": scipy.fft.dst(values, type=2, norm="ortho"),
        "insulated-fixed": scipy.fft.dct(values, type=4, norm="ortho"),
        "fixed-insulated": scipy.fft.dst(values, type=4, norm="ortho"),
    }
    with NUMPY, math.precision(64):
        for kind, reference in expected.items():
            np.testing.assert_allclose(coefficients_of(bounded(values, [kind]))[2], reference, atol=1e-13)


@given(
    axes=st.lists(st.tuples(st.sampled_from(sorted(SIDES)), st.integers(1, 9)), min_size=1, max_size=3),
    precision=st.sampled_from([32, 64]),
    seed=st.integers(0, 99),
)
@settings(max_examples=80)
@pytest.mark.parametrize("backend", [NUMPY, TORCH], ids=str)
def test_bases_are_orthonormal(backend, axes, precision, seed):
    """Parseval, the round trip, and the number of modes, for all products of kinds."""
    kinds, sizes = zip(*axes, strict=True)
    tolerance = 1e-12 if precision == 64 else 1e-5
    with backend, math.precision(precision):
        field = bounded(np.random.default_rng(seed).standard_normal((2, *sizes)), kinds)
        basis = SpectralBasis.of(field)
        coefficients = basis.transform(field.values)
        assert coefficients.shape.only(basis.modes.names, reorder=True) == basis.modes
        assert coefficients.dtype.kind is (float if basis.is_real else complex)
        assert basis.is_real == ("periodic" not in kinds)
        assert basis.conserves_mean == all(kind in ("periodic", "insulated") for kind in kinds)
        back = basis.inverse(coefficients)
        assert back.dtype.precision == precision
        np.testing.assert_allclose(array(back), array(field), atol=tolerance)
        power = basis.sum(abs(coefficients) ** 2)
        np.testing.assert_allclose(power.numpy("batch"), (array(field) ** 2).reshape(2, -1).sum(1), rtol=10 * tolerance)
        count = basis.sum(expand(math.wrap(1.0), basis.modes))
        assert float(count) == basis.resolution.volume


def test_wavenumbers_in_units_of_the_domain(double):
    field = bounded(np.zeros((1, 4, 3, 5)), ["periodic", "fixed", "insulated-fixed"], (0.5, 2.0, 0.1))
    basis = SpectralBasis.of(field)
    k = basis.axis_wavenumbers
    assert all(values.dtype.precision == 64 for values in k.values())
    np.testing.assert_allclose(k["x"].numpy("x"), 2 * np.pi / 2.0 * np.array([0, 1, 2]))
    np.testing.assert_allclose(k["y"].numpy("y"), np.pi / 6.0 * np.array([1, 2, 3]))
    np.testing.assert_allclose(k["z"].numpy("z"), np.pi / 0.5 * (np.arange(5) + 0.5))
    weights = math.tensor([[1.0, 2.0, 3.0], [0.5, 0.0, 2.0]], batch("batch"), channel(vector="x,y,z"))
    squares = np.stack(np.meshgrid(*[k[axis].numpy(axis) ** 2 for axis in "xyz"], indexing="ij"), -1)
    expected = np.einsum("bv,xyzv->bxyz", weights.numpy("batch,vector"), squares)
    np.testing.assert_allclose(basis.k_squared(weights).numpy("batch,x,y,z"), expected)
    np.testing.assert_allclose(basis.k_squared(2.0).numpy("x,y,z"), 2 * squares.sum(-1), rtol=1e-14)


@pytest.mark.parametrize("kinds", [("fixed",), ("insulated", "fixed-insulated"), ("periodic", "fixed")], ids="-".join)
def test_variance_per_cell(double, kinds):
    """Against white noise in the modes, coloured by their deviations."""
    rng = np.random.default_rng(0)
    with NUMPY:
        noise = bounded(rng.standard_normal((40_000, *(6, 5)[: len(kinds)])), kinds)
        basis, coefficients, _ = coefficients_of(noise)
        deviation = math.exp(-0.05 * basis.k_squared())
        u = array(basis.inverse(coefficients * deviation))
        variance = basis.variance_per_cell(deviation**2)
    assert set(variance.shape.names) == set(basis.resolution.names)
    np.testing.assert_allclose(variance.numpy(basis.resolution.names), u.var(0), rtol=0.04)


@pytest.mark.parametrize("kind", KINDS)
def test_variance_per_cell_by_matrices(double, kind):
    variances = np.random.default_rng(1).uniform(size=(2, 7))
    basis = SpectralBasis.of(bounded(variances, [kind]))
    found = basis.variance_per_cell(math.wrap(variances, batch("batch"), *basis.modes))
    np.testing.assert_allclose(array(found), variances @ matrix(kind, 7).T ** 2, rtol=1e-12)


MODES = [
    # kind per axis, cells, cell sizes, index of the mode per axis, diffusivity per axis, time
    (("insulated",), (15,), (0.5,), (3,), (0.25,), 2.0),
    (("fixed",), (16,), (2.0,), (2,), (1.5,), 3.0),
    (("insulated-fixed",), (9,), (0.3,), (1,), (0.02,), 1.0),
    (("fixed-insulated",), (12,), (1.5,), (4,), (1.0,), 0.7),
    (("insulated", "fixed"), (12, 9), (0.5, 2.0), (2, 3), (0.3, 0.3), 1.0),
    (("fixed-insulated", "insulated"), (8, 11), (1.0, 0.4), (1, 2), (0.5, 0.05), 1.5),
    (("periodic", "fixed"), (10, 8), (1.0, 3.0), (2, 1), (1.0, 0.25), 2.0),
    (("insulated-fixed", "periodic", "fixed"), (6, 5, 4), (0.7, 1.0, 2.0), (1, 2, 0), (0.1, 0.2, 1.5), 0.8),
]


def mode(kinds, cells, dx, index):
    """A single eigenfunction, and k² per axis."""
    values, squares = np.ones((1, *cells)), []
    for axis, (kind, n, d, i) in enumerate(zip(kinds, cells, dx, index, strict=True)):
        _, wave, first = KINDS.get(kind, (None, np.cos, 0.0))
        half_waves = 2 * i if kind == "periodic" else i + first
        factor = wave(np.pi * half_waves * (np.arange(n) + 0.5) / n)
        values = values * factor.reshape([-1 if a == axis + 1 else 1 for a in range(len(cells) + 1)])
        squares.append((np.pi * half_waves / (n * d)) ** 2)
    return values, np.array(squares)


@pytest.mark.parametrize("row", MODES, ids=lambda row: "x".join(row[0]))
def test_single_modes_decay_and_are_recovered(framework, double, row):
    kinds, cells, dx, index, nu, t = row
    values, k2 = mode(kinds, cells, dx, index)
    diffusivity = nu[0] if len(set(nu)) == 1 else math.vec(**dict(zip(AXES, nu, strict=False)))
    physics = HeatEquation(diffusivity, t, 0.0, ProbabilisticDamping())
    x = bounded(values, kinds, dx)
    y = physics.forward(x)
    np.testing.assert_allclose(array(y), values * np.exp(-t * (nu @ k2)), atol=1e-12, rtol=0)
    step = sip_inverse(physics, y, x * 0)
    np.testing.assert_allclose(array(step.x_target), values, atol=1e-6)


def test_anisotropy_per_batch_entry(double):
    x = bounded(np.random.default_rng(0).standard_normal((2, 8, 6)), ["fixed", "insulated"])
    rates = [[1.0, 0.25], [0.1, 2.0]]
    together = HeatEquation(math.tensor(rates, batch("batch"), channel(vector="x,y")), 0.5).forward(x)
    for i, (a, b) in enumerate(rates):
        alone = HeatEquation(math.vec(y=b, x=a), 0.5).forward(x.batch[i])
        np.testing.assert_allclose(array(together)[i], array(alone), atol=1e-14)


def test_mean_is_imposed_only_where_it_is_conserved(framework, double):
    rng = np.random.default_rng(0)
    physics = HeatEquation(1.0, 2.0)
    for kinds, conserved in ((("periodic", "insulated"), True), (("periodic", "fixed"), False)):
        x, guess = (bounded(rng.standard_normal((2, 8, 6)), kinds) for _ in range(2))
        y = physics.forward(x)
        means = [array(f).mean((1, 2)) for f in (x, y, guess, physics.constrain(guess, y))]
        np.testing.assert_allclose(means[3], means[1] if conserved else means[2], atol=1e-14)
        assert np.allclose(means[0], means[1], atol=1e-14) == conserved


def test_symmetric_is_insulated(double):
    values = np.random.default_rng(0).standard_normal((1, 8, 6))
    a, b = (HeatEquation(1.0, 0.5).forward(grid(values, None, e)) for e in (extrapolation.SYMMETRIC, INSULATED))
    np.testing.assert_array_equal(array(a), array(b))


@pytest.mark.parametrize("kinds", [("fixed",), ("insulated-fixed", "periodic")], ids="-".join)
def test_forward_is_self_adjoint_and_differentiable(framework, double, kinds):
    rng = np.random.default_rng(0)
    u, v = (bounded(rng.standard_normal((2, *(7, 6)[: len(kinds)])), kinds) for _ in range(2))
    physics = HeatEquation(0.5, 1.0)
    order = u.values.shape

    def run(native):
        return [physics.forward(u.with_values(math.reshaped_tensor(native, [*order]))).values.native(order)]

    native = u.values.native(order)
    _, pullback = operations_of(choose_backend(native)).vjp(run, [native])
    gradient = math.reshaped_tensor(pullback([v.values.native(order)])[0], [*order])
    np.testing.assert_allclose(array(gradient), array(physics.forward(v)), atol=1e-12)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_learned_anisotropy_passes_through_the_steady_state(framework, double):
    x = grid(np.ones((1, 6, 5)), (1.0, 0.5), {"x": (1, 2), "y": (0, INSULATED)})

    def loss(nu):
        return math.sum(HeatEquation(nu, 2.0).forward(x).values ** 2, "x,y,batch")

    at = {"x": 0.7, "y": 0.3}
    slope = math.gradient(loss, "nu", get_output=False)(math.tensor(list(at.values()), channel(vector="x,y")))
    for axis in at:
        up, down = (loss(math.vec(**{**at, axis: at[axis] + h})) for h in (1e-5, -1e-5))
        assert float(slope.vector[axis]) == pytest.approx(float((up - down) / 2e-5), rel=1e-5)


VALUES = [
    # boundary value per side, None: insulated
    ((1.0, 3.0),),
    ((None, 2.0),),
    ((1.0, 2.0), (0.0, 3.0)),
    ((1.0, None), (None, -2.0)),
]


def with_values(sides, cells, values=None, lengths=(1.0, 2.0)):
    dx = tuple(length / n for length, n in zip(lengths, cells, strict=False))
    boundary = {a: tuple(INSULATED if c is None else c for c in pair) for a, pair in zip(AXES, sides, strict=False)}
    return grid(np.zeros((1, *cells)) if values is None else values, dx, boundary)


def steady(field, diffusivity=1.0):
    basis = SpectralBasis.of(field)
    return field.with_values(expand(steady_state(basis, diffusivity), field.values.shape))


@pytest.mark.parametrize("sides", VALUES, ids=str)
def test_the_steady_state_stays_and_is_approached(framework, double, sides):
    x = with_values(sides, (8, 6)[: len(sides)])
    w = steady(x)
    np.testing.assert_allclose(array(HeatEquation(0.1, 3.0).forward(w)), array(w), atol=1e-12)
    np.testing.assert_allclose(array(HeatEquation(1.0, 1e3).forward(x)), array(w), atol=1e-12)


def test_steady_states_known_in_closed_form(double):
    distance = (np.arange(8) + 0.5) / 8
    np.testing.assert_allclose(array(steady(with_values(((1.0, 3.0),), (8,))))[0], 1 + 2 * distance, rtol=1e-14)
    np.testing.assert_array_equal(array(steady(with_values(((None, 0.7),), (8,)))), 0.7)
    np.testing.assert_array_equal(array(steady(with_values(((0.7, None), (0.7, 0.7)), (8, 6)))), 0.7)


@pytest.mark.parametrize("ratio", [1e-12, 1e-6, 1e-5, 1e6])
def test_steady_states_of_thin_and_long_domains(double, ratio):
    """Far apart sides do not matter, near ones leave a straight line."""
    x = with_values(((1.0, 3.0), (0.0, 0.0)), (5, 4), lengths=(ratio, 1.0))
    w = array(steady(x))[0]
    if ratio < 1:
        np.testing.assert_allclose(w, np.broadcast_to(1 + 2 * (np.arange(5)[:, None] + 0.5) / 5, (5, 4)), rtol=1e-4)
    else:
        np.testing.assert_allclose(w, 0, atol=1e-9)


def laplacian(n, length, sides):
    """Second-order finite differences of u″ on cell centers: matrix and inhomogeneity."""
    operator, constant = np.zeros((n, n)), np.zeros(n)
    for i in range(n):
        for j in (i - 1, i + 1):
            if 0 <= j < n:
                operator[i, j] += 1
                operator[i, i] -= 1
            elif (value := sides[j == n]) is not None:
                operator[i, i] -= 2
                constant[i] += 2 * value
    return operator * (n / length) ** 2, constant * (n / length) ** 2


def finite_differences(sides, x, lengths, nu, t):
    """u(t) of u′ = A u + b by the matrix exponential."""
    parts = [laplacian(n, length, s) for n, length, s in zip(x.shape, lengths, sides, strict=False)]
    if len(parts) == 1:
        operator, constant = nu[0] * parts[0][0], nu[0] * parts[0][1]
    else:
        (a, p), (b, q) = parts
        operator = nu[0] * np.kron(a, np.eye(len(q))) + nu[1] * np.kron(np.eye(len(p)), b)
        constant = (nu[0] * p[:, None] + nu[1] * q[None]).ravel()
    rest = np.linalg.solve(operator, -constant)
    return (rest + scipy.linalg.expm(t * operator) @ (x.ravel() - rest)).reshape(x.shape)


@pytest.mark.parametrize("sides", VALUES, ids=str)
def test_agrees_with_finite_differences_to_second_order(double, sides):
    nu, t, lengths = (0.3, 0.1), 0.2, (1.0, 2.0)
    errors = []
    for refinement in (1, 3):
        cells = tuple(refinement * n for n in (6, 8)[: len(sides)])
        centers = np.meshgrid(*[(np.arange(n) + 0.5) / n for n in cells], indexing="ij")
        values = np.cos(3 * sum(centers))
        physics = HeatEquation(nu[0] if len(sides) == 1 else math.vec(x=nu[0], y=nu[1]), t)
        y = array(physics.forward(with_values(sides, cells, values[None], lengths)))[0]
        error = abs(y - finite_differences(sides, values, lengths, nu, t))
        inner = tuple(slice(refinement // 2, None, refinement) for _ in cells)
        errors.append(error[inner][tuple(slice(1, -1) for _ in cells)].max())
    assert errors[1] < errors[0] / 6, errors
    assert errors[1] < 0.01, errors


def test_inverse_with_boundary_values(framework, double):
    sides = ((1.0, 2.0), (None, 3.0))
    x = with_values(sides, (8, 6), 1 + mode(("fixed", "insulated-fixed"), (8, 6), (0.125, 1 / 3), (1, 0))[0])
    physics = HeatEquation(0.01, 1.0, 0.0, ProbabilisticDamping())
    start = x.with_values(x.values * 0)
    target = sip_inverse(physics, physics.forward(x), start).x_target
    np.testing.assert_allclose(array(target), array(x), atol=1e-5)


def test_single_precision_with_boundary_values(framework):
    x = with_values(((1.0, 2.0), (None, 3.0)), (8, 6))
    y = HeatEquation(0.01, 1.0).forward(x)
    assert y.values.dtype.precision == 32
    assert y.values.default_backend is framework.backend
    with math.precision(64):
        expected = HeatEquation(0.01, 1.0).forward(with_values(((1.0, 2.0), (None, 3.0)), (8, 6)))
    np.testing.assert_allclose(array(y), array(expected), atol=1e-5)


def test_vector_fields_share_a_scalar_boundary(double):
    values = np.random.default_rng(0).standard_normal((2, 8, 6, 2))
    y = HeatEquation(0.5, 1.0).forward(bounded(values, ["fixed", "periodic"], vector=True))
    for i in range(2):
        part = HeatEquation(0.5, 1.0).forward(bounded(values[..., i], ["fixed", "periodic"]))
        np.testing.assert_allclose(array(y)[..., i], array(part), atol=1e-13)
