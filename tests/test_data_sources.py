"""Training data from files: every sample once an epoch, the same from any step on, none that is held out."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from fields import array, periodic
from phi.field import CenteredGrid
from phi.flow import Scene
from phiml import math
from phiml.math import batch, extrapolation
from training_runs import ROWS, network

from phi_sip import HeatEquation, train
from phi_sip.data import scenes, stored
from phi_sip.errors import FileError, ParameterError
from phi_sip.files import GridArray, KeptGrids, write_grids


@pytest.fixture
def files(tmp_path):
    """Samples 0 to 11 in four files, each a constant; states are 100 more."""
    for i in range(4):
        values = np.arange(3 * i, 3 * i + 3.0)[:, None, None] * np.ones((3, 8, 8))
        np.save(tmp_path / f"y{i}.npy", values)
        np.save(tmp_path / f"x{i}.npy", values + 100)
    return [tmp_path / f"y{i}.npy" for i in range(4)], [tmp_path / f"x{i}.npy" for i in range(4)]


KNOWN = {"size": {"x": 8, "y": 8}, "boundary": "periodic"}  # what `.npy` files do not say


def numbers(field) -> list[int]:
    return array(field)[:, 0, 0].astype(int).tolist()


def test_each_sample_once_an_epoch_and_none_that_is_held_out(files):
    data = stored(*files, **KNOWN, batch_size=2, held_out=4, seed=3)
    batches = list(itertools.islice(data.training(1), 8))
    epochs = [[n for batch in part for n in numbers(batch.y_target)] for part in (batches[:4], batches[4:])]
    held_out = numbers(data.validation.y_target)
    assert sorted(epochs[0]) == sorted(epochs[1])
    assert sorted(epochs[0] + held_out) == list(range(12))
    assert epochs[0] != epochs[1]
    assert data.samples == 8
    for found in (*batches, data.validation):
        assert numbers(found.x_true) == [n + 100 for n in numbers(found.y_target)]


def test_the_same_from_any_step_on(files):
    data = stored(*files, **KNOWN, batch_size=5)
    whole = [numbers(batch.y_target) for batch in itertools.islice(data.training(1), 7)]
    assert [numbers(batch.y_target) for batch in itertools.islice(data.training(4), 4)] == whole[3:]
    again = stored(*files, **KNOWN, batch_size=5)
    assert numbers(next(again.training(1)).y_target) == whole[0]
    assert numbers(next(stored(*files, **KNOWN, batch_size=5, seed=1).training(1)).y_target) != whole[0]


def test_scenes_of_phiflow(tmp_path):
    with math.precision(64):
        first, second = Scene.create(str(tmp_path)), Scene.create(str(tmp_path), batch(sim=2))
        for frame in range(3):
            single = periodic(np.full((1, 8, 8), 10.0 * frame), (0.5, 0.5)).batch[0]
            several = CenteredGrid(math.tensor([1.0 + 10 * frame, 2.0 + 10 * frame], batch("sim")), **vars_of(single))
            for scene, field in ((first, single), (second, several)):
                scene.write(temperature=field, temperature_initial=field + 100, frame=frame)
        data = scenes(tmp_path, "temperature", "temperature_initial", batch_size=9)
        found = next(data.training(1))
    assert data.samples == 9
    assert sorted(numbers(found.y_target)) == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert numbers(found.x_true) == [n + 100 for n in numbers(found.y_target)]
    assert float(found.y_target.dx.mean) == 0.5
    with pytest.raises(FileError, match=r"There is no file .*velocity_000000"):
        scenes(tmp_path, "temperature", "velocity", batch_size=1)


def vars_of(field):
    return {"extrapolation": extrapolation.PERIODIC, "bounds": field.bounds, "resolution": field.resolution}


def test_a_training_from_files(files):
    framework = ROWS["torch"]
    net, optimizer = network(framework)
    with framework.backend:
        data = stored(*files, **KNOWN, batch_size=4, held_out=4, precision=32)
        record = train(
            net,
            optimizer,
            HeatEquation(1.0, 1.0, 0.1),
            data.training,
            steps=3,
            validation=data.validation,
            progress=False,
        )
    assert record.validations[-1].x_l2 is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 13}, "do not make a batch of 13"),
        ({"batch_size": 2, "held_out": 11}, "of which 11 are held out"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2, "held_out": 0.5}, "held_out = 0.5"),
        ({"batch_size": 2, "held_out": -1}, "held_out = -1"),
        ({"batch_size": 2, "seed": -1}, "seed = -1"),
        ({"batch_size": 2, "boundary": "open"}, "boundary = 'open'"),
        ({"batch_size": 2, "precision": 16}, "precision = 16"),
    ],
)
def test_options_that_make_no_sense(files, options, message):
    with pytest.raises(ParameterError, match=message):
        stored(*files, **{**KNOWN, **options})


def test_one_file_a_pattern_and_a_name_that_looks_like_one(files, tmp_path):
    odd = tmp_path / "y[0].npy"
    odd.write_bytes(files[0][0].read_bytes())
    for observations, samples in ((odd, 3), (str(odd), 3), (str(tmp_path / "y?.npy"), 12)):
        assert stored(observations, **KNOWN, batch_size=2).samples == samples


def test_files_that_do_not_fit_are_named_before_anything_begins(files, tmp_path):
    ys, xs = files
    with pytest.raises(FileError, match="4 files of observations, but 3 of states"):
        stored(ys, xs[:3], batch_size=2)
    for nothing in ([], str(tmp_path / "*.nc")):
        with pytest.raises(FileError, match="no files"):
            stored(nothing, batch_size=2)
    with pytest.raises(FileError, match="holds no scenes with 'temperature'"):
        scenes(tmp_path, "temperature", batch_size=1)
    write_grids(tmp_path / "z.npz", {"a": GridArray(np.ones((1, 4, 8)), ("batch", "x", "y"), (0.0, 0.0), (4.0, 8.0))})
    with pytest.raises(FileError, match=r"z.npz holds another grid than .*y0.npy"):
        stored([*ys, tmp_path / "z.npz"], batch_size=13)
    for samples in (2, 4):
        np.save(xs[3], np.ones((samples, 8, 8)))
        with pytest.raises(FileError, match=f"y3.npy holds 3 observations, but .*x3.npy {samples} states"):
            stored(ys, xs, **KNOWN, batch_size=2)
    np.save(xs[3], np.full((3, 8, 8), np.nan))
    with pytest.raises(FileError, match=r"x3.npy: The values hold NaN"):
        stored(ys, xs, **KNOWN, batch_size=2)


def test_no_more_is_kept_in_memory_than_allowed(files):
    ys, _ = files
    size = 3 * 8 * 8 * 8
    read = KeptGrids(None, 2 * size)
    first = read(ys[0], None)
    read(ys[1], None)
    assert read(ys[0], None) is first
    read(ys[2], None)  # in place of that which has not been asked for the longest
    for file in ys:
        file.unlink()
    assert read(ys[0], None) is first
    with pytest.raises(FileError, match="There is no file"):
        read(ys[1], None)
    np.save(ys[3], np.ones((9, 8, 8)))  # more than allowed, but the last
    assert read(ys[3], None) is read(ys[3], None)


def test_files_that_do_not_fit_into_memory(files, monkeypatch):
    batches = lambda: itertools.islice(stored(*files, **KNOWN, batch_size=5).training(1), 4)  # noqa: E731
    whole = [numbers(batch.y_target) for batch in batches()]
    monkeypatch.setattr(sys.modules[stored.__module__], "KEPT", 1)
    assert [numbers(batch.y_target) for batch in batches()] == whole
