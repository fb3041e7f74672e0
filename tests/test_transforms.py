"""Random shifts, reflections, swaps and changes of scale."""

from __future__ import annotations

import numpy as np
import pytest
from fields import array, grid, periodic
from hypothesis import given, settings
from hypothesis import strategies as st
from phi.field import StaggeredGrid
from phiml import math
from phiml.backend import NUMPY
from phiml.math import batch, channel, extrapolation, spatial

from phi_sip import ParameterError, RandomTransform
from phi_sip.step.random_numbers import random_numbers
from phi_sip.targets.transforms import MIRRORED, OFFSET, SWAPPED, ZOOM


def numbers(samples: int, axes: str, **values: float):
    """Random numbers that are all in the middle, but for those that are given."""
    per_sample = [values.get("zoom", 0.5), values.get("swap", 0.9)]
    made = {"samples": filled(samples, per_sample, (ZOOM, SWAPPED))}
    for axis in axes:
        made[axis] = filled(
            samples, [values.get(f"offset_{axis}", 0.0), values.get(f"mirror_{axis}", 0.9)], (OFFSET, MIRRORED)
        )
    return made


def filled(samples, values, places):
    ordered = [value for _, value in sorted(zip(places, values, strict=True))]
    return math.tensor(np.tile(ordered, (samples, 1)), batch("batch"), channel("_random_numbers"))


@pytest.fixture(autouse=True)
def _double():
    with NUMPY, math.precision(64):
        yield


VALUES = np.random.default_rng(0).standard_normal((3, 6, 6))


def test_nothing_is_moved_exactly():
    moved = RandomTransform().apply(periodic(VALUES), numbers(3, "xy"))
    np.testing.assert_array_equal(array(moved), VALUES)


@pytest.mark.parametrize(("offset", "cells"), [(0.0, 0), (0.2, 1), (0.999, 5)])
def test_shifts_of_periodic_axes_are_rolls(offset, cells):
    moved = RandomTransform().apply(periodic(VALUES), numbers(3, "xy", offset_x=offset))
    np.testing.assert_array_equal(array(moved), np.roll(VALUES, -cells, 1))


def test_axes_between_walls_are_not_shifted():
    moved = RandomTransform().apply(grid(VALUES, None, extrapolation.ZERO_GRADIENT), numbers(3, "xy", offset_x=0.5))
    np.testing.assert_array_equal(array(moved), VALUES)


@pytest.mark.parametrize("boundary", [extrapolation.PERIODIC, extrapolation.ZERO_GRADIENT, extrapolation.ZERO])
def test_mirrored_axes_and_swapped_ones(boundary):
    field = grid(VALUES, None, boundary)
    np.testing.assert_array_equal(
        array(RandomTransform().apply(field, numbers(3, "xy", mirror_x=0.1))), VALUES[:, ::-1]
    )
    swapped = RandomTransform().apply(field, numbers(3, "xy", swap=0.1))
    np.testing.assert_array_equal(array(swapped), np.swapaxes(VALUES, 1, 2))


@pytest.mark.parametrize("field", [grid(VALUES, (1.0, 2.0), extrapolation.PERIODIC), periodic(VALUES[:, :4])])
def test_axes_that_differ_are_not_swapped(field):
    np.testing.assert_array_equal(array(RandomTransform().apply(field, numbers(3, "xy", swap=0.1))), array(field))


def test_a_scale_of_one_half_shows_two_periods():
    moved = array(RandomTransform(scales=(0.5,)).apply(periodic(VALUES), numbers(3, "xy")))
    np.testing.assert_allclose(moved[:, :3, :3], moved[:, 3:, 3:], atol=1e-12)
    np.testing.assert_allclose(moved.mean((1, 2)), VALUES.mean((1, 2)), atol=1e-12)


def test_a_wave_that_is_shrunk_is_a_shorter_wave():
    x = (np.arange(64) + 0.5) / 64
    wave = np.cos(2 * np.pi * x)[None, :, None] * np.ones((1, 1, 64))
    moved = array(RandomTransform(scales=(0.5,)).apply(grid(wave, None, extrapolation.ZERO_GRADIENT), numbers(1, "xy")))
    np.testing.assert_allclose(moved[0, :, 0], 0.99 * np.cos(4 * np.pi * x), atol=0.02)


def test_vectors_are_shifted_only():
    values = np.random.default_rng(0).standard_normal((2, 6, 6, 2))
    draws = numbers(2, "xy", mirror_x=0.1, swap=0.1, offset_y=0.5)
    np.testing.assert_array_equal(
        array(RandomTransform().apply(periodic(values, vector=True), draws)), np.roll(values, -3, 2)
    )


def test_axes_with_two_kinds_of_sides_are_not_mirrored():
    sides = extrapolation.combine_sides(x=(extrapolation.ZERO, extrapolation.ZERO_GRADIENT), y=extrapolation.ZERO)
    moved = RandomTransform().apply(grid(VALUES, None, sides), numbers(3, "xy", mirror_x=0.1, mirror_y=0.1))
    np.testing.assert_array_equal(array(moved), VALUES[:, :, ::-1])


@pytest.mark.parametrize("boundary", [extrapolation.PERIODIC, extrapolation.ZERO])
def test_staggered_grids_stay_as_they_are(boundary):
    grid = StaggeredGrid(lambda p: p, boundary, x=4, y=4)
    assert RandomTransform().apply(grid, numbers(1, "xy", mirror_x=0.1, offset_x=0.5)) is grid


def test_tensors_and_trees():
    u = math.tensor(VALUES, batch("batch"), spatial("x,y"))
    moved = RandomTransform().apply({"u": u, "more": (u * 2, 3)}, numbers(3, "xy", mirror_x=0.1))
    np.testing.assert_array_equal(moved["u"].numpy("batch,x,y"), VALUES[:, ::-1])
    np.testing.assert_array_equal(moved["more"][0].numpy("batch,x,y"), 2 * VALUES[:, ::-1])
    assert moved["more"][1] == 3


@given(
    st.integers(1, 3),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.booleans(),
    st.permutations(["batch", "x", "y", "z"]),
)
@settings(max_examples=25)
def test_any_shape_stored_in_any_order(samples, sizes, walls, order):
    values = np.random.default_rng(1).standard_normal((samples, *sizes))
    field = grid(values, None, extrapolation.ZERO_GRADIENT if walls else extrapolation.PERIODIC)
    transform = RandomTransform(scales=(1.0, 0.7))

    class Traced:
        is_traced = False

    math.seed(0)
    draws = transform.draws(field.shape, random_numbers(Traced(), 64))
    names = [name for name in order if name in field.values.shape.names]
    turned = field.with_values(math.reshaped_tensor(field.values.numpy(names), [field.values.shape[n] for n in names]))
    found, again = (array(transform.apply(f, draws)) for f in (field, turned))
    assert found.shape == values.shape
    assert found.min() >= values.min() - 1e-9
    assert found.max() <= values.max() + 1e-9, "a mean of values lies between them"
    np.testing.assert_allclose(found, again, atol=1e-12)


@pytest.mark.parametrize("scales", [(), (1.5,), (0.0,), "1", 0.5])
def test_wrong_scales_are_refused(scales):
    with pytest.raises(ParameterError, match="scales"):
        RandomTransform(scales=scales)
