"""Lengths that files hold beside the values: used where they fit, refused where not; else asked for."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import xarray

from phi_sip.data import stored
from phi_sip.errors import FileError, ParameterError
from phi_sip.files import GridArray, read_field, read_grid, write_grids

VALUES = np.random.default_rng(0).normal(size=(4, 16, 8))
X, Y = 0.05 * (np.arange(16) + 0.5), 1 + 0.2 * (np.arange(8) + 0.5)
XX, YY = np.meshgrid(X, Y, indexing="ij")
FACES_X = 0.05 * np.arange(17)
DIMS = ("batch", "x", "y")


def hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        file["T"] = VALUES
        for name, values in arrays.items():
            file[name] = values
    return path


@pytest.mark.parametrize(
    "arrays",
    [
        {"x-coordinate": X, "y-coordinate": Y},
        {"X": XX, "Y": YY},
        {"x": X, "coord_y": Y, "t-coordinate": np.arange(5.0)},
        {"x_faces": FACES_X, "yc": Y},
        {"coordinates/x": X, "coordinates/y": Y},
        {"x-coordinate": X.astype("f4"), "X": XX, "y": Y},
    ],
    ids=lambda arrays: ",".join(arrays),
)
@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_coordinates_that_are_not_tied_to_dims(arrays, suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    if suffix == ".npz":
        np.savez(path, T=VALUES, **{name.rpartition("/")[2]: values for name, values in arrays.items()})
    else:
        hdf5(path, **arrays)
    grid = read_grid(path, "T", DIMS)
    np.testing.assert_allclose([grid.bounds["x"], grid.bounds["y"]], [(0.0, 0.8), (1.0, 2.6)], atol=1e-6)


def test_coordinates_of_each_cell_in_netcdf(tmp_path):
    coordinates = {"X": (("x", "y"), XX), "Y": (("x", "y"), YY)}
    xarray.Dataset({"T": (DIMS, VALUES)}, coordinates).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    field = read_field(tmp_path / "a.nc", boundary="periodic")
    np.testing.assert_allclose(field.dx.numpy("vector"), [0.05, 0.2], rtol=1e-6)
    coordinates = {"X": (("x", "y"), XX + 0.1 * YY), "Y": (("x", "y"), YY)}
    xarray.Dataset({"T": (DIMS, VALUES)}, coordinates).to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    with pytest.raises(FileError, match="change along other axes"):
        read_grid(tmp_path / "b.nc")


def test_states_and_observations_called_x_and_y_are_no_coordinates(tmp_path):
    np.savez(tmp_path / "a.npz", x=VALUES, y=VALUES + 1)
    np.savez(tmp_path / "b.npz", x=VALUES[0], y=VALUES[1])
    for name, dims in (("a.npz", DIMS), ("b.npz", DIMS[1:])):
        for variable in "xy":
            assert read_grid(tmp_path / name, variable, dims).bounds == {}


@pytest.mark.parametrize("sizes", [(8, 8), (16, 8)])
def test_meshes_of_another_order_are_refused(sizes, tmp_path):
    """`np.meshgrid` as it is by default: its arrays have y first."""
    x, y = X[: sizes[0]], Y[: sizes[1]]
    for indexing in ("xy", "ij"):
        xx, yy = np.meshgrid(x, y, indexing=indexing)
        np.savez(tmp_path / f"{indexing}.npz", T=np.ones((3, *sizes)), X=xx, Y=yy)
    with pytest.raises(FileError, match=r"coordinates of x, .*--dims"):
        read_grid(tmp_path / "xy.npz", dims=DIMS)
    bounds = read_grid(tmp_path / "ij.npz", dims=DIMS).bounds  # X and Y are not asked about
    np.testing.assert_allclose(bounds["x"], (0, 0.05 * sizes[0]), atol=1e-9)
    np.savez(tmp_path / "yx.npz", T=np.ones((3, *sizes[::-1])), X=np.meshgrid(x, y)[0], Y=np.meshgrid(x, y)[1])
    np.testing.assert_allclose(read_grid(tmp_path / "yx.npz", dims=("batch", "y", "x")).bounds["y"][0], 1, atol=1e-9)


def test_dims_that_hdf5_labels(tmp_path):
    path = hdf5(tmp_path / "a.h5", x=X)
    with h5py.File(path, "r+") as file:
        for dim, name in zip(file["T"].dims, ("batch", "x", "y"), strict=True):
            dim.label = name
        file.attrs["boundary"] = np.bytes_("zero")
    grid = read_grid(path)
    assert (grid.dims, set(grid.bounds), grid.boundary) == (DIMS, {"x"}, "zero")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x-coordinate": X, "X": 2 * XX}, "contradict each other: x goes from 0 to 1.6 by the one, and from 0 to 0.8"),
        ({"x-coordinate": X**2}, "not the centers of equal cells"),
        ({"x-coordinate": X[:9]}, "has 9 entries, but x has 16 cells"),
        ({"x-coordinate": XX + 0.1 * YY}, "change along other axes"),
        ({"grid_x": YY}, "change along other axes"),
        ({"x_faces": FACES_X**2}, "not the faces of equal cells"),
        ({"x": np.where(X > 0.5, np.nan, X)}, "not the centers of equal cells"),
    ],
)
def test_coordinates_that_do_not_fit(arrays, message, tmp_path):
    with pytest.raises(FileError, match=message):
        read_grid(hdf5(tmp_path / "a.h5", **arrays), "T", DIMS)


def test_what_is_not_held_is_asked_for(tmp_path):
    path = tmp_path / "a.nc"
    xarray.Dataset({"T": (DIMS, VALUES)}, {"x": X}).to_netcdf(path, engine="h5netcdf")
    assert set(read_grid(path).bounds) == {"x"}
    for options in ({}, {"size": {"x": 0.8}}):
        with pytest.raises(ParameterError, match=r"how long the grid is along y.*size=\{'y': 8\}"):
            stored(path, batch_size=2, boundary="periodic", **options)
    with pytest.raises(ParameterError, match="what holds at the sides"):
        stored(path, batch_size=2, size={"y": 1.6})
    found = next(stored(path, batch_size=2, boundary="x=zero,y=periodic", size={"y": 1.6}).training(1)).y_target
    np.testing.assert_allclose(found.dx.numpy("vector"), [0.05, 0.2], rtol=1e-6)
    for size, message in (
        ({"x": 16.0, "y": 1.0}, "size of x = 16, but the file says 0.8"),
        ({"z": 1.0}, "size of z"),
        ({"y": 0}, "size of y = 0"),
        ({"y": "long"}, "size of y = 'long'"),
        (-1.0, "size of x"),
    ):
        with pytest.raises(ParameterError, match=message):
            stored(path, batch_size=2, boundary="periodic", size=size)


@pytest.mark.parametrize("suffix", [".npz", ".nc", ".zarr"])
def test_one_cell_and_unknown_lengths_there_and_back(suffix, tmp_path):
    """A center does not tell the length of a cell."""
    grid = GridArray(np.ones((2, 1, 3, 2)), (*DIMS, "vector"), (1.0, None), (4.0, None), components=("b", "a"))
    write_grids(tmp_path / f"a{suffix}", {"a": grid})
    again = read_grid(tmp_path / f"a{suffix}")
    assert (again.bounds, again.components, again.boundary) == ({"x": (1.0, 4.0)}, ("b", "a"), None)
    xarray.Dataset({"T": (("x", "y"), np.ones((1, 3)))}, {"x": [2.5]}).to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    assert read_grid(tmp_path / "b.nc").bounds == {}


def test_groups(tmp_path):
    data = xarray.Dataset({"T": (("batch", "x"), np.ones((2, 8)))})
    outer = xarray.Dataset({"q": (("x",), np.ones(8))}, {"x": np.arange(8) + 0.5})
    outer.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", group="m")
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", group="m/inner", mode="a")
    outer.to_zarr(tmp_path / "a.zarr", group="m", consolidated=False)
    data.to_zarr(tmp_path / "a.zarr", group="m/inner", consolidated=False)
    for name in ("a.nc", "a.zarr"):
        grid = read_grid(tmp_path / name, "m/inner/T")
        assert (grid.dims, grid.bounds) == (("batch", "x"), {"x": (0.0, 8.0)})
        with pytest.raises(FileError, match=r"It holds m/inner/T, m/q, and no variable was named"):
            read_grid(tmp_path / name)
    with pytest.raises(FileError, match=r"is inside of .*--variable m/inner/NAME"):
        read_grid(tmp_path / "a.zarr" / "m" / "inner")


def test_dims_without_names_are_asked_for(tmp_path):
    with pytest.raises(FileError, match=r"have no names in the file\. Name them in order"):
        read_grid(hdf5(tmp_path / "a.h5"))


def test_what_leads_out_of_a_file_is_not_followed(tmp_path):
    hdf5(tmp_path / "secret.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["T"] = h5py.ExternalLink("secret.h5", "T")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("T", (4, 4), "f8", external=[(str(tmp_path / "secret.h5"), 0, 128)])
    with h5py.File(tmp_path / "c.h5", "w") as file:
        layout = h5py.VirtualLayout((4, 16, 8), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "T", (4, 16, 8))
        file.create_virtual_dataset("T", layout)
    for name in "abc":
        with pytest.raises(FileError, match=r"link to another file|lie in other files"):
            read_grid(tmp_path / f"{name}.h5", "T", DIMS)
