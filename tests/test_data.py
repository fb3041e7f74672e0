"""Random states: the same on every framework, distributed as said; the same ones when they are made ahead of time."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager

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
from phi_sip.data import (
    Samples,
    heat_photograph_samples,
    heat_photographs,
    heat_rectangle_samples,
    heat_rectangles,
    point_source_samples,
    point_sources,
    prefetched,
    smooth_field_samples,
    smooth_fields,
    step_seed,
)
from phi_sip.errors import SipError, UnsupportedError
from phi_sip.spectral import SpectralBasis


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


def test_smooth_fields_are_coloured_white_noise():
    """Mode by mode in the basis of the grid."""
    dims = spatial(x=12, y=9)
    bounds = Box(x=3.0, y=1.5)
    with NUMPY, math.precision(64):
        field = smooth_fields(batch(batch=5), dims, bounds=bounds, exponent=2.5, std=0.7, mean=-2.0, seed=3)
        basis = SpectralBasis.of(field)
        drawn = np.random.default_rng(3).standard_normal((5, 12, 9))
        white = basis.transform(math.wrap(drawn, batch("batch"), dims))
        power = math.where(basis.is_constant > 0, 0.0, math.maximum(basis.k_squared(), 1e-9) ** (-2.5 / 2))
        coefficients = white * math.sqrt(power * 0.7**2 / (basis.sum(power) / dims.volume))
        np.testing.assert_allclose(array(field), (basis.inverse(coefficients) - 2).numpy("batch,x,y"), atol=1e-12)


def test_smooth_fields_have_the_standard_deviation_and_mean():
    with math.precision(64):
        values = array(smooth_fields(batch(batch=2000), spatial(x=8, y=8), std=0.3, mean=1.0, seed=0))
    np.testing.assert_allclose(values.mean((1, 2)), 1, atol=1e-12)
    assert values.std() == pytest.approx(0.3, rel=0.02)


def test_point_sources_are_as_many_as_said_and_as_large():
    with math.precision(64):
        values = array(point_sources(batch(batch=2000), spatial(x=8, y=6), count=(0, 3), amplitude=(-1.0, 3.0), seed=0))
    assert values.shape == (2000, 8, 6)
    counts, points = (values != 0).sum((1, 2)), values[values != 0]
    assert set(counts) == {0, 1, 2, 3}
    assert counts.mean() == pytest.approx(1.5, rel=0.05)
    assert -1 <= points.min() < -0.99
    assert 2.99 < points.max() <= 3
    assert points.mean() == pytest.approx(1.0, abs=0.1)
    assert (values != 0).any(0).all()


def test_point_sources_fill_every_cell_if_there_are_as_many():
    assert (array(point_sources(batch(batch=3), spatial(x=4, y=5), count=(20, 20), seed=0)) >= 0.5).all()


@pytest.mark.parametrize(
    "options",
    [
        {"count": (3, 2)},
        {"count": (-1, 2)},
        {"count": (1, 17)},
        {"amplitude": (2.0, 1.0)},
        {"amplitude": (0.0, np.inf)},
    ],
)
def test_bad_point_sources(options):
    with pytest.raises(ParameterError, match=next(iter(options))):
        point_sources(batch(batch=2), spatial(x=16), **options)


GENERATORS = {
    "rectangles": (heat_rectangles, heat_rectangle_samples),
    "smooth": (smooth_fields, smooth_field_samples),
    "points": (point_sources, point_source_samples),
    "photographs": (heat_photographs, heat_photograph_samples),
}


@contextmanager
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("precision", [32, 64])
def test_prefetched_fields_are_those_of_the_plain_loop(name, threads, precision):
    function, samples = GENERATORS[name]
    dims = batch(batch=3), spatial(x=16, y=12)
    for row in TABLE:
        with row.backend, math.precision(precision), no_thread_is_left():
            fields = list(prefetched(samples(*dims), range(4), threads=threads))
            assert len(fields) == 4
            for seed, field in enumerate(fields):
                plain = function(*dims, seed=seed)
                assert field.values.default_backend is row.backend
                assert field.values.dtype == plain.values.dtype
                assert field.sampled_elements == plain.sampled_elements
                np.testing.assert_array_equal(array(field), array(plain))


def test_precision_is_that_where_the_item_is_asked_for():
    """Whatever it was when it was drawn."""
    samples = heat_rectangle_samples(batch(batch=8), spatial(x=32, y=32))
    with NUMPY, closing(prefetched(samples, itertools.count(), ahead=3, threads=2)) as fields:
        for step in range(40):
            asked, meanwhile = (32, 64) if step % 3 else (64, 32)
            with math.precision(asked):
                field = next(fields)
                reference = heat_rectangles(batch(batch=8), spatial(x=32, y=32), seed=step)
            assert field.values.dtype.precision == asked
            np.testing.assert_array_equal(array(field), array(reference))
            with math.precision(meanwhile):
                time.sleep(0.001)


def test_drawing_ignores_precision_and_backend():
    for _, samples in GENERATORS.values():
        drawn = samples(batch(batch=2), spatial(x=8, y=8)).draw(5)
        assert type(drawn) is np.ndarray
        assert drawn.dtype == np.float64
        with TABLE[0].backend, math.precision(16):
            np.testing.assert_array_equal(samples(batch(batch=2), spatial(x=8, y=8)).draw(5), drawn)


@pytest.mark.parametrize(("ahead", "threads"), [(1, 1), (1, 2), (4, 1), (4, 3), (50, 4)])
def test_order_is_kept_though_durations_differ(ahead, threads):
    durations = np.random.default_rng(0).permutation(20) * 1e-3

    def make(step: int) -> np.ndarray:
        time.sleep(durations[step])
        return np.random.default_rng(step).random(3)

    with no_thread_is_left():
        found = list(prefetched(make, range(20), ahead=ahead, threads=threads))
    np.testing.assert_array_equal(found, [np.random.default_rng(step).random(3) for step in range(20)])


@pytest.mark.parametrize("ahead", [1, 2, 5])
@pytest.mark.parametrize("threads", [1, 2])
def test_no_more_than_ahead_are_made_in_advance(ahead, threads):
    made = []
    items = prefetched(lambda step: made.append(step) or step, itertools.count(), ahead=ahead, threads=threads)
    assert not made, "begun before the first was asked for"
    with closing(items):
        for asked in range(1, 6):
            next(items)
            assert eventually(lambda asked=asked: len(made) == asked + ahead), "not made in advance"
            time.sleep(0.02)
            assert len(made) == asked + ahead


def test_making_goes_on_while_the_loop_is_busy():
    second_made = threading.Event()

    def make(step: int) -> int:
        if step == 1:
            second_made.set()
        return step

    with closing(prefetched(make, range(2))) as items:
        next(items)
        assert second_made.wait(10)


def test_items_are_not_kept():
    class Item:
        def __init__(self) -> None:
            alive.add(id(self))

        def __del__(self) -> None:
            alive.remove(id(self))

    alive: set[int] = set()
    for item in prefetched(lambda step: Item(), range(30), ahead=2):
        assert len(alive) <= 1 + 2
        del item
        assert len(alive) <= 2
    assert not alive


@pytest.mark.parametrize("threads", [1, 3])
def test_errors_come_in_their_place(threads):
    def make(step: int) -> int:
        if step == 3:
            raise FileNotFoundError("no file for 3")
        time.sleep(0.01 * (step < 3))  # 3 fails before those before it are made
        return step

    found: list[int] = []
    with no_thread_is_left():
        with pytest.raises(SipError, match=r"step 3.*FileNotFoundError: no file for 3") as caught:
            found.extend(prefetched(make, range(10), ahead=4, threads=threads))
        assert found == [0, 1, 2]
        assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_errors_of_finish_are_its_own():
    def finish(drawn: int) -> int:
        return 1 // drawn

    with no_thread_is_left(), pytest.raises(ZeroDivisionError):
        list(prefetched(Samples(lambda seed: seed, finish), range(3)))


def leave_by_break(start: Callable[[], Generator]) -> None:
    for _ in start():
        break


def leave_by_exception(start: Callable[[], Generator]) -> None:
    def run() -> None:
        for _ in start():
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        run()


def leave_by_interrupt(start: Callable[[], Generator]) -> None:
    def run() -> None:
        for _ in start():
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run()


def leave_by_close(start: Callable[[], Generator]) -> None:
    items = start()
    next(items)
    items.close()


def leave_by_forgetting(start: Callable[[], Generator]) -> None:
    next(start())


@pytest.mark.parametrize(
    "leave", [leave_by_break, leave_by_exception, leave_by_interrupt, leave_by_close, leave_by_forgetting]
)
@pytest.mark.parametrize("threads", [1, 3])
def test_nothing_is_left_running(leave, threads):
    begun = []

    def make(step: int) -> int:
        begun.append(step)
        time.sleep(0.02)
        return step

    start = time.monotonic()
    with no_thread_is_left():
        leave(lambda: prefetched(make, itertools.count(), ahead=3, threads=threads))
    assert time.monotonic() - start < 2
    count = len(begun)
    assert count <= 4
    time.sleep(0.05)
    assert len(begun) == count


def test_interrupt_while_waiting_for_an_item():
    main = threading.main_thread().ident

    def make(step: int) -> int:
        if step == 2:
            signal.pthread_kill(main, signal.SIGINT)
            time.sleep(0.1)
        return step

    found: list[int] = []
    with no_thread_is_left():
        with pytest.raises(KeyboardInterrupt):
            found.extend(prefetched(make, range(10), ahead=1))
        assert found in ([0], [0, 1])


def test_no_steps_is_no_items():
    with no_thread_is_left():
        assert list(prefetched(lambda step: step, [])) == []


@pytest.mark.parametrize("function", [heat_rectangles, smooth_fields, point_sources, heat_photographs])
def test_fields_are_refused_on_the_threads(function):
    make = lambda step: function(batch(batch=2), spatial(x=8, y=8), seed=step)  # noqa: E731
    with pytest.raises(SipError, match=f"{function.__name__} makes fields") as caught:
        next(prefetched(make, range(3)))
    assert isinstance(caught.value.__cause__, UnsupportedError)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"ahead": 0}, "ahead = 0"), ({"threads": 0}, "threads = 0"), ({"ahead": 2, "threads": 4}, "from 1 to 3")],
)
def test_bad_prefetching(options, message):
    with pytest.raises(ParameterError, match=message):
        prefetched(lambda step: step, range(3), **options)


def test_step_seeds_differ():
    seeds = {step_seed(*key) for key in itertools.product(range(20), range(100), range(5))}
    assert len(seeds) == 20 * 100 * 5
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert step_seed(5, 2, 3) != step_seed(5 + 2**32 * 2, 3), "numbers beyond 32 bits run into the next"
    assert step_seed(5, 1, 2) != step_seed(5 + 2**32, 2)
    assert step_seed(7, 1) == step_seed(7, 1, worker=0)


def test_step_seeds_are_independent():
    """Neighbours share no bit more often than by chance, and their numbers are not correlated."""
    seeds = np.array([step_seed(0, step, worker) for step in range(200) for worker in range(5)], np.uint64)
    bits = np.unpackbits(seeds.view(np.uint8).reshape(-1, 8), axis=1).astype(float)
    bits = bits[:, bits.std(0) > 0]
    assert bits.shape[1] == 63
    agree = (bits[1:] == bits[:-1]).mean(0)
    assert np.abs(agree - 0.5).max() < 5 * 0.5 / np.sqrt(len(seeds))
    numbers = np.array([np.random.default_rng(int(seed)).standard_normal(500) for seed in seeds[:50]])
    correlations = np.corrcoef(numbers)[np.triu_indices(50, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(500)


@pytest.mark.parametrize(
    ("key", "seed"),
    [
        ((0, 0, 0), 1317536309490288386),
        ((0, 1, 0), 5769891174451087230),
        ((0, 0, 1), 7449029282396566744),
        ((1, 0, 0), 3325833263181678374),
        ((42, 1000, 7), 8359278518491329007),
        ((2**40, 10**6, 63), 5418656369615972421),
    ],
)
def test_step_seeds_are_the_same_on_every_machine(key, seed):
    assert step_seed(*key) == seed


@pytest.mark.parametrize("key", [(-1, 0, 0), (0, -1, 0), (0, 0, -1)])
def test_bad_step_seeds(key):
    with pytest.raises(ParameterError, match="step_seed"):
        step_seed(*key)
