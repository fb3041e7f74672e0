"""Fields in files: what is written is read again, and what is damaged or strange is refused by name."""

from __future__ import annotations

import contextlib

import numpy as np
import phi.field
import pytest
from fields import periodic
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from phiml import math

from phi_sip.errors import FileError, ParameterError
from phi_sip.files import FORMATS, GridArray, read_field, read_grid, write_grids
from phi_sip.files.arrays import unit_cells

GRID = GridArray(np.arange(24.0).reshape(2, 3, 4), ("batch", "x", "y"), (0.0, -1.0), (1.5, 3.0))


def same(a: GridArray, b: GridArray) -> None:
    np.testing.assert_array_equal(a.values, b.values)
    assert a.dims == b.dims
    np.testing.assert_allclose((a.lower, a.upper), (b.lower, b.upper), atol=1e-12)


@pytest.mark.parametrize("suffix", [".npz", ".nc", ".zarr"])
def test_there_and_back(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    other = GridArray(GRID.values * 2, GRID.dims, GRID.lower, GRID.upper)
    write_grids(path, {"a": GRID, "b": other}, {"source": "a test"})
    same(read_grid(path, "a"), GRID)
    same(read_grid(path, "b"), other)
    with pytest.raises(FileError, match="holds a, b, and no variable was named"):
        read_grid(path)
    with pytest.raises(FileError, match="there is no variable 'z'"):
        read_grid(path, "z")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_npy(tmp_path):
    write_grids(tmp_path / "a.npy", {"a": GRID})
    same(read_grid(tmp_path / "a.npy"), unit_cells(GRID.values, GRID.dims))
    same(read_grid(tmp_path / "a.npy", dims=("x", "y", "z")), unit_cells(GRID.values, ("x", "y", "z")))
    with pytest.raises(FileError, match="holds one array, not a, b"):
        write_grids(tmp_path / "b.npy", {"a": GRID, "b": GRID})


@pytest.mark.parametrize("vector", [False, True])
def test_fields_of_phiflow(tmp_path, vector):
    values = np.random.default_rng(0).random((2, 4, 6, 2) if vector else (2, 4, 6))
    with math.precision(64):
        field = periodic(values, (0.5, 2.0), vector)
        phi.field.write(field, str(tmp_path / "a.npz"))
    again = read_field(tmp_path / "a.npz")
    math.assert_close(again.values, field.values)
    math.assert_close(again.dx, field.dx)
    same(GridArray.of_field(field), read_grid(tmp_path / "a.npz"))


NUMBERS = hnp.floating_dtypes(sizes=(32, 64)) | hnp.integer_dtypes()


@given(hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=2, max_dims=4, max_side=4)))
@settings(max_examples=50)
def test_arrays_of_any_kind(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "any.npy"
    np.save(path, values)
    if not np.isfinite(values).all():
        with pytest.raises(FileError, match="NaN or infinity"):
            read_grid(path)
        return
    grid = read_grid(path)
    np.testing.assert_array_equal(grid.values, values)
    assert grid.to_field().values.shape.batch.volume == values.shape[0]


@pytest.mark.parametrize("suffix", list(FORMATS))
@given(data=st.data())
@settings(max_examples=15)
def test_damage_is_an_error_of_ours_or_harmless(suffix, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damage")
    path = folder / f"a{suffix}"
    write_grids(path, {"a": GRID})
    files = sorted(p for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
    victim = data.draw(st.sampled_from(files))
    content = bytearray(victim.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= data.draw(st.integers(1, 255))
    else:
        del content[position:]
    victim.write_bytes(bytes(content))
    with contextlib.suppress(FileError):
        assert read_grid(path, None if suffix == ".npy" else "a").values.dtype.kind in "fiu"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "There is no file"),
        (lambda path: np.save(path, np.array(["a"])), "of rank 1|real numbers"),
        (lambda path: np.save(path, np.full((2, 2), np.nan)), "NaN or infinity"),
        (lambda path: np.save(path, np.ones((2, 2), complex)), "of type complex"),
        (lambda path: np.save(path, np.array([[object()]])), "cannot be read"),
        (lambda path: np.save(path, np.ones((2, 0))), "shape"),
        (lambda path: path.write_bytes(b"\x93NUMPY"), "cannot be read"),
        (lambda path: np.savez(path.open("wb"), a=np.ones(3)), "Rename it to .npz"),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_files_that_hold_no_grid(tmp_path, make, message):
    path = tmp_path / "a.npy"
    make(path)
    with pytest.raises(FileError, match=message):
        read_grid(path)


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        (("x", "x"), "at most once"),
        (("batch", "vector"), "at least one axis"),
        (("x", "time"), "at most once"),
        (("x",), "shape"),
    ],
)
def test_dims_that_make_no_grid(tmp_path, dims, message):
    np.save(tmp_path / "a.npy", np.ones((2, 2)))
    with pytest.raises(FileError, match=message):
        read_grid(tmp_path / "a.npy", dims=dims)


def test_formats_names_and_boundaries_that_are_not_known(tmp_path):
    with pytest.raises(FileError, match="cannot be named 'x'"):
        write_grids(tmp_path / "a.nc", {"x": GRID})
    with pytest.raises(FileError, match=r"'.txt' is not known. Use one of .npy, .npz, .nc, .zarr"):
        write_grids(tmp_path / "a.txt", {"a": GRID})
    with pytest.raises(ParameterError, match="boundary = 'open'"):
        GRID.to_field("open")


def test_coordinates_of_unequal_cells(tmp_path):
    xarray = pytest.importorskip("xarray")
    xarray.Dataset({"T": (("x",), np.ones(3))}, {"x": [0.0, 1.0, 3.0]}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(FileError, match="not the centers of equal cells"):
        read_grid(tmp_path / "a.nc")


def test_a_failed_writing_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.npz"
    write_grids(path, {"a": GRID})
    before = path.read_bytes()
    with pytest.raises(FileError, match="cannot be written"):
        write_grids(tmp_path / "missing" / "a.npz", {"a": GRID})
    assert path.read_bytes() == before
