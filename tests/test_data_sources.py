"""Training data from files: every sample once an epoch, the same from any step on, none that is held out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fields import array, periodic
from phi.field import write
from phiml import math
from training_runs import ROWS, network

from phi_sip import HeatEquation, train
from phi_sip.data import scenes, stored
from phi_sip.errors import FileError, ParameterError
from phi_sip.files import GridArray, write_grids


@pytest.fixture
def files(tmp_path):
    """Samples 0 to 11 in four files, each a constant; states are 100 more."""
    for i in range(4):
        values = np.arange(3 * i, 3 * i + 3.0)[:, None, None] * np.ones((3, 8, 8))
        np.save(tmp_path / f"y{i}.npy", values)
        np.save(tmp_path / f"x{i}.npy", values + 100)
    return [tmp_path / f"y{i}.npy" for i in range(4)], [tmp_path / f"x{i}.npy" for i in range(4)]


def numbers(field) -> list[int]:
    return array(field)[:, 0, 0].astype(int).tolist()


def test_each_sample_once_an_epoch_and_none_that_is_held_out(files):
    data = stored(*files, batch_size=2, held_out=4, seed=3)
    batches = list(itertools.islice(data.training(1), 8))
    epochs = [[n for batch in part for n in numbers(batch.y_target)] for part in (batches[:4], batches[4:])]
    held_out = numbers(data.validation.y_target)
    assert sorted(epochs[0]) == sorted(epochs[1])
    assert sorted(epochs[0] + held_out) == list(range(12))
    assert epochs[0] != epochs[1]
    assert data.samples == 8
    for batch in (*batches, data.validation):
        assert numbers(batch.x_true) == [n + 100 for n in numbers(batch.y_target)]


def test_the_same_from_any_step_on(files):
    data = stored(*files, batch_size=5)
    whole = [numbers(batch.y_target) for batch in itertools.islice(data.training(1), 7)]
    assert [numbers(batch.y_target) for batch in itertools.islice(data.training(4), 4)] == whole[3:]
    again = stored(*files, batch_size=5)
    assert numbers(next(again.training(1)).y_target) == whole[0]
    assert numbers(next(stored(*files, batch_size=5, seed=1).training(1)).y_target) != whole[0]


def test_scenes_of_phiflow(tmp_path):
    with math.precision(64):
        for sim, frame in itertools.product(range(2), range(3)):
            folder = tmp_path / f"sim_{sim:06d}"
            folder.mkdir(exist_ok=True)
            field = periodic(np.full((1, 8, 8), 10.0 * sim + frame), (0.5, 0.5))
            for name, offset in (("temperature", 0), ("initial", 100)):
                write((field + offset).batch[0], str(folder / f"{name}_{frame:06d}.npz"))
        data = scenes(tmp_path, "temperature", "initial", batch_size=6)
        batch = next(data.training(1))
    assert sorted(numbers(batch.y_target)) == [0, 1, 2, 10, 11, 12]
    assert numbers(batch.x_true) == [n + 100 for n in numbers(batch.y_target)]
    assert float(batch.y_target.dx.mean) == 0.5


def test_a_training_from_files(files):
    framework = ROWS["torch"]
    net, optimizer = network(framework)
    with framework.backend:
        data = stored(*files, batch_size=4, held_out=4, precision=32)
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
    ("options", "error", "message"),
    [
        ({"batch_size": 13}, ParameterError, "do not make a batch of 13"),
        ({"batch_size": 2, "held_out": 11}, ParameterError, "of which 11 are held out"),
        ({"batch_size": 0}, ParameterError, "batch_size"),
    ],
)
def test_too_few_samples(files, options, error, message):
    with pytest.raises(error, match=message):
        stored(*files, **options)


def test_files_that_do_not_fit(files, tmp_path):
    ys, xs = files
    with pytest.raises(FileError, match="4 files of observations, but 3 of states"):
        stored(ys, xs[:3], batch_size=2)
    for nothing in ([], str(tmp_path / "*.nc")):
        with pytest.raises(FileError, match="no files"):
            stored(nothing, batch_size=2)
    assert stored(str(tmp_path / "y*.npy"), batch_size=2).samples == 12
    with pytest.raises(FileError, match="holds no scenes with 'temperature'"):
        scenes(tmp_path, "temperature", batch_size=1)
    write_grids(tmp_path / "z.npz", {"a": GridArray(np.ones((1, 4, 8)), ("batch", "x", "y"), (0.0, 0.0), (4.0, 8.0))})
    with pytest.raises(FileError, match="holds another grid"):
        stored([*ys, tmp_path / "z.npz"], batch_size=13)
