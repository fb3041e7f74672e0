"""The random rectangles: the same on every framework, and distributed as in the chapter."""

from __future__ import annotations

import numpy as np
import pytest
from fields import array
from frameworks import TABLE
from hypothesis import given, settings
from hypothesis import strategies as st
from phi.geom import Box
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, extrapolation, spatial
from scipy import stats

from phi_sip import ParameterError
from phi_sip.data import heat_rectangles


def one_by_one(samples: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """The chapter's recipe, rectangle by rectangle, in its own words: half-widths to 10 on 64 cells."""
    result = np.zeros((samples, n, n))
    for sample in result:
        for _ in range(int(4 + 7 * rng.random())):
            half = rng.random(2) * 10 * n / 64
            center = np.clip((rng.random(2) - 0.5) * 0.8 * n + 0.5 * n, half, n - half)
            strength = rng.random()
            cover = []
            for c, h in zip(center, half, strict=True):
                cells = [max(0.0, min(c + h, i + 1) - max(c - h, i)) for i in range(n)]
                cover.append(np.array(cells))
            sample += strength * np.outer(*cover)
    return result


def test_distribution_is_the_chapters():
    with math.precision(64):
        ours = array(heat_rectangles(batch(batch=600), spatial(x=32, y=32), seed=1))
    reference = one_by_one(600, 32, np.random.default_rng(2))
    for statistic in (
        lambda v: v.mean((1, 2)),
        lambda v: v.max((1, 2)),
        lambda v: (v > 0).mean((1, 2)),
        lambda v: np.abs(np.fft.fft2(v))[:, 1, 0],
        lambda v: np.abs(np.fft.fft2(v))[:, 5, 3],
        lambda v: v[:, 16, 16],
    ):
        assert stats.ks_2samp(statistic(ours), statistic(reference)).pvalue > 1e-3


def test_one_rectangle_is_a_box_with_soft_edges():
    with math.precision(64):
        samples = array(heat_rectangles(batch(batch=50), spatial(x=64, y=48), count=(1, 1), seed=0))
    for sample in samples.astype(np.float64):
        left, values, _ = np.linalg.svd(sample)
        assert values[1] < 1e-6 * values[0], "not a product of two intervals"
        profile = np.abs(left[:, 0]) / np.abs(left[:, 0]).max()
        edges = profile[(profile > 1e-5) & (profile < 1 - 1e-5)]
        assert len(edges) <= 2
        assert 0 < sample.max() <= 1


def test_total_heat_does_not_depend_on_the_resolution():
    with math.precision(64):
        coarse = array(heat_rectangles(batch(batch=8), spatial(x=16, y=16), seed=3)).mean((1, 2))
        fine = array(heat_rectangles(batch(batch=8), spatial(x=64, y=64), seed=3)).mean((1, 2))
    np.testing.assert_allclose(coarse, fine, rtol=1e-12)


def test_one_seed_is_one_data_set_on_all_frameworks():
    with NUMPY:
        reference = array(heat_rectangles(batch(batch=4), spatial(x=16, y=16), seed=7))
    for row in TABLE:
        with row.backend:
            field = heat_rectangles(batch(batch=4), spatial(x=16, y=16), seed=7)
            assert field.values.default_backend is row.backend
            np.testing.assert_array_equal(array(field), reference)
            row.backend.seed(0)
            NUMPY.seed(5)
            by_global_seed = array(heat_rectangles(batch(batch=2), spatial(x=8)))
            NUMPY.seed(5)
            np.testing.assert_array_equal(array(heat_rectangles(batch(batch=2), spatial(x=8))), by_global_seed)
    with NUMPY:
        assert not np.array_equal(array(heat_rectangles(batch(batch=4), spatial(x=16, y=16), seed=8)), reference)


@given(
    st.lists(st.integers(3, 12), min_size=1, max_size=3),
    st.integers(1, 4),
    st.integers(0, 9),
    st.sampled_from([32, 64]),
)
@settings(max_examples=30)
def test_shapes_and_types(sizes, samples, seed, precision):
    with NUMPY, math.precision(precision):
        shape = spatial(**dict(zip("xyz", sizes, strict=False)))
        field = heat_rectangles(batch(run=2, sample=samples), shape, seed=seed)
    assert field.resolution == shape
    assert field.boundary == extrapolation.PERIODIC
    assert set(field.values.shape.batch.names) == {"run", "sample"}
    assert field.values.dtype.precision == precision
    values = field.values.numpy(["run", "sample", *shape.names])
    assert (values >= 0).all()
    assert np.isfinite(values).all()


def test_bounds_are_kept():
    bounds = Box(x=(-1, 3), y=2)
    field = heat_rectangles(spatial(x=8, y=8), bounds=bounds, seed=0)
    assert field.bounds == bounds
    assert not field.values.shape.batch


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((batch(batch=2),), {}),
        ((spatial(x=4), channel(c=2)), {}),
        ((spatial(x=4, y=4, z=4, w=4),), {}),
        ((spatial(x=4),), {"count": (3, 2)}),
        ((spatial(x=4),), {"count": (-1, 2)}),
        ((spatial(x=4),), {"seed": -1}),
    ],
)
def test_bad_arguments(shape, options):
    with pytest.raises(ParameterError, match="heat_rectangles"):
        heat_rectangles(*shape, **options)
