"""Fields in files: what is written is read again, and what is damaged or strange is refused by name."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import phi.field
import pytest
import xarray
from fields import periodic
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from phi.field import CenteredGrid
from phi.geom import Box
from phiml import math
from phiml.math import extrapolation

from phi_sip.errors import FileError, ParameterError, UnsupportedError
from phi_sip.files import GridArray, read_field, read_grid, write_grids
from phi_sip.files.boundaries import NAMED as BOUNDARIES

GRID = GridArray(np.arange(24.0).reshape(2, 3, 4), ("batch", "x", "y"), (0.0, -1.0), (1.5, 3.0), "zero-gradient")


def same(a: GridArray, b: GridArray) -> None:
    np.testing.assert_array_equal(a.values, b.values)
    assert a.values.dtype == b.values.dtype
    assert (a.dims, a.boundary, a.units) == (b.dims, b.boundary, b.units)
    assert (a.axes, set(a.bounds)) == (b.axes, set(b.bounds))
    for axis, bounds in a.bounds.items():
        np.testing.assert_allclose(bounds, b.bounds[axis], atol=1e-12)


@pytest.mark.parametrize("suffix", [".npz", ".nc", ".zarr"])
def test_there_and_back(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    other = replace(GRID, values=GRID.values * 2)
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
    unknown = (None, None)
    same(read_grid(tmp_path / "a.npy"), GridArray(GRID.values, GRID.dims, unknown, unknown))
    unknown = (None, None, None)
    same(read_grid(tmp_path / "a.npy", dims=("x", "y", "z")), GridArray(GRID.values, ("x", "y", "z"), unknown, unknown))
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


@pytest.mark.parametrize("boundary", list(BOUNDARIES))
@pytest.mark.parametrize("suffix", [".npz", ".nc", ".zarr"])
def test_the_boundary_of_a_field_is_kept(boundary, suffix, tmp_path):
    field = CenteredGrid(1.0, BOUNDARIES[boundary], x=3, y=4, bounds=Box(x=3.0, y=1.0))
    write_grids(tmp_path / f"a{suffix}", {"a": GridArray.of_field(field)})
    again = read_field(tmp_path / f"a{suffix}", precision=32)
    assert again.boundary == field.boundary
    assert again.values.shape.spatial == field.resolution  # also of what is the same in all cells
    assert read_field(tmp_path / f"a{suffix}", boundary="zero").boundary == extrapolation.ZERO


def test_a_boundary_that_has_no_words_is_not_kept():
    per_component = extrapolation.ConstantExtrapolation(math.vec(x=1.0, y=2.0))
    assert GridArray.of_field(CenteredGrid(math.vec(x=1.0, y=2.0), per_component, x=3, y=3)).boundary is None


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_units_of_axes(suffix, tmp_path):
    grid = replace(GRID, units={"y": "m"})
    write_grids(tmp_path / f"a{suffix}", {"a": grid})
    same(read_grid(tmp_path / f"a{suffix}"), grid)


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
    if values.dtype.kind == "f" and (values == np.float32(9.969209968386869e36)).any():
        with pytest.raises(FileError, match="stand-ins for missing data"):
            read_grid(path)
        return
    grid = read_grid(path)
    np.testing.assert_array_equal(grid.values, values)
    size = dict(zip(grid.axes, grid.resolution, strict=True))
    assert grid.to_field("periodic", size=size).values.shape.batch.volume == values.shape[0]


def heap_of_hdf5(content: bytes) -> range:
    """Where HDF5 1.14 reads forever if a size in it is wrong: its heap of references to axes."""
    start = content.find(b"GCOL")
    return range(start, start + 4096) if start >= 0 else range(0)


def damaged(data: st.DataObject, path: Path) -> None:
    """Changes a byte of a file, or of one in the folder, or cuts it off."""
    files = sorted(p for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
    victim = data.draw(st.sampled_from(files))
    content = bytearray(victim.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1).filter(lambda i: i not in heap_of_hdf5(content)))
    if data.draw(st.booleans()):
        content[position] ^= data.draw(st.integers(1, 255))
    else:
        del content[position:]
    victim.write_bytes(bytes(content))


@pytest.mark.parametrize("suffix", [".npz", ".nc", ".zarr"])
@given(data=st.data())
@settings(max_examples=60)
@pytest.mark.filterwarnings("ignore")
def test_damage_is_refused_or_harmless(suffix, tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damage") / f"a{suffix}"
    write_grids(path, {"a": GRID})
    damaged(data, path)
    try:
        grid = read_grid(path, "a")
    except FileError:
        return
    same(replace(grid, boundary=GRID.boundary), GRID)  # names of the boundary have no checksum


@given(data=st.data())
@settings(max_examples=60)
def test_damage_to_what_has_no_checksum_is_no_other_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damage.npy"
    write_grids(path, {"a": GRID})
    damaged(data, path)
    try:
        grid = read_grid(path)
    except FileError:
        return
    assert grid.values.size == GRID.values.size


@given(data=st.data())
@settings(max_examples=30)
def test_damage_to_files_of_phiflow(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "field.npz"
    phi.field.write(periodic(GRID.values), str(path))
    whole = read_grid(path)
    damaged(data, path)
    try:
        same(read_grid(path), whole)
    except FileError:
        return


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_an_array_that_says_it_is_shorter_than_it_is(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    (np.save if suffix == ".npy" else np.savez)(path, np.ones((4, 32, 32)))
    path.write_bytes(path.read_bytes().replace(b"'<f8'", b"'<f4'"))
    with pytest.raises(FileError, match="longer than its array"):
        read_grid(path)


def test_values_in_netcdf_have_checksums(tmp_path):
    path = tmp_path / "a.nc"
    write_grids(path, {"a": GRID})
    content = path.read_bytes()
    assert content.count(GRID.values.tobytes()) == 1
    path.write_bytes(content.replace(GRID.values.tobytes(), (GRID.values + 1).tobytes()))
    with pytest.raises(FileError, match="cannot be read"):
        read_grid(path)


@pytest.mark.parametrize("name", [b"dims.npy", b"lower.npy", b"upper.npy", b"boundary.npy", b"components.npy"])
def test_a_grid_that_has_lost_its_description(name, tmp_path):
    path = tmp_path / "a.npz"
    write_grids(path, {"a": GRID})
    before, contents = path.read_bytes().rsplit(name, 1)  # the list of contents is at the end
    path.write_bytes(before + b"?" * len(name) + contents)
    with pytest.raises(FileError, match="cannot be read"):
        read_grid(path, "a")


def test_parts_of_zarr_that_are_missing(tmp_path):
    for part in ("x", "a/c"):
        path = tmp_path / part.replace("/", "") / "a.zarr"
        path.parent.mkdir()
        write_grids(path, {"a": GRID})
        assert (path / part).is_dir()
        shutil.rmtree(path / part)
        with pytest.raises(FileError, match=r"coordinates of x are missing|NaN"):
            read_grid(path)


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


def test_formats_names_and_options_that_are_not_known(tmp_path):
    for name in ("x", "batch", "dims", "a/b", ""):
        with pytest.raises(FileError, match=f"cannot be named '{name}'"):
            write_grids(tmp_path / "a.npz", {name: GRID})
    with pytest.raises(FileError, match=r"'.txt' is not known. Use one of .npy, .npz, .nc, .zarr"):
        write_grids(tmp_path / "a.txt", {"a": GRID})
    with pytest.raises(ParameterError, match="boundary = 'open'"):
        GRID.to_field("open")
    with pytest.raises(ParameterError, match="precision = 48"):
        GRID.to_field(precision=48)
    with pytest.raises(FileError, match="cannot be read"):
        read_grid(tmp_path / ("a" * 300 + ".npy"))
    with pytest.raises(FileError, match="The bounds"):
        replace(GRID, upper=(np.inf, 3.0))
    assert not list(tmp_path.iterdir())


def test_grids_that_are_not_alike_are_not_written_into_one_file(tmp_path):
    turned = GridArray(GRID.values.transpose(0, 2, 1), ("batch", "y", "x"), GRID.lower[::-1], GRID.upper[::-1])
    for grids in ({}, {"a": GRID, "b": turned}, {"a": GRID, "b": replace(GRID, upper=(2.0, 3.0))}):
        with pytest.raises(FileError, match="of the same dims"):
            write_grids(tmp_path / "a.npz", grids)


@pytest.mark.parametrize(("suffix", "library"), [(".nc", "xarray"), (".nc", "h5netcdf"), (".zarr", "zarr")])
def test_a_missing_library_is_named(suffix, library, tmp_path, monkeypatch):
    write_grids(tmp_path / f"a{suffix}", {"a": GRID})
    monkeypatch.setitem(sys.modules, library, None)
    for use in (lambda path: read_grid(path), lambda path: write_grids(path.with_name(f"b{suffix}"), {"a": GRID})):
        with pytest.raises(UnsupportedError, match=rf"needs {library}.*pip install 'phi-sip\[files\]'"):
            use(tmp_path / f"a{suffix}")


def dataset(coordinates: dict[str, object], *dims: str) -> xarray.Dataset:
    return xarray.Dataset({"T": (dims, np.ones([3] * len(dims)))}, coordinates)


@pytest.mark.parametrize("centers", [[0.0, 1.0, 3.0], [2.0, 1.0, 0.0], [1.0, 1.0, 1.0], ["a", "b", "c"]])
def test_coordinates_of_no_equal_cells(centers, tmp_path):
    dataset({"x": centers}, "x").to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(FileError, match=r"not the centers of equal cells|not numbers"):
        read_grid(tmp_path / "a.nc")


def test_dims_of_other_names_keep_their_coordinates(tmp_path):
    lat = ("lat", [0.0, 0.5, 1.0], {"units": "degrees_north"})
    time = ("time", [0, 1, 2], {"units": "fortnights since the beginning"})  # of no meaning to anyone
    dataset({"lat": lat, "time": time}, "time", "lat", "lon").to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    grid = read_grid(tmp_path / "a.nc", dims=("batch", "y", "x"))
    assert (grid.dims, grid.lower, grid.upper) == (("batch", "y", "x"), (-0.25, None), (1.25, None))
    assert grid.units == {"y": "degrees_north"}
    with pytest.raises(FileError, match="cannot be called batch, x"):
        read_grid(tmp_path / "a.nc", dims=("batch", "x"))


def test_coordinates_in_single_precision(tmp_path):
    centers = np.linspace(-180, 180, 10001).astype(np.float32)
    found = xarray.Dataset({"T": (("x",), np.ones(10001))}, {"x": centers})
    found.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    np.testing.assert_allclose(read_grid(tmp_path / "a.nc").upper, 180.018)


def test_netcdf_3(tmp_path):
    dataset({"x": [0.5, 1.5, 2.5]}, "x", "y").to_netcdf(tmp_path / "a.nc", engine="scipy")
    assert read_grid(tmp_path / "a.nc").upper == (3.0, None)


def test_a_failed_writing_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    write_grids(path, {"a": GRID})
    before = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(FileError, match="cannot be written: OSError: No space left"):
        write_grids(path, {"a": replace(GRID, values=-GRID.values)})
    with pytest.raises(FileError, match="there is no folder"):
        write_grids(tmp_path / "missing" / "a.npz", {"a": GRID})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]
