"""Formats are rows of one table: ours, and those of plugins; `.tif`, `.mat`, and HDF5 with its groups."""

from __future__ import annotations

import types
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile

from phi_sip import DuplicateNameError, hookimpl
from phi_sip.errors import FileError, FileWarning, PluginWarning, UnsupportedError
from phi_sip.files import FileFormat, GridArray, check_writable, file_formats, read_field, read_grid, write_grids
from phi_sip.plugins.manager import create_plugin_manager

VALUES = np.random.default_rng(0).normal(size=(4, 16, 8))
X, Y = 0.05 * (np.arange(16) + 0.5), 1 + 0.2 * (np.arange(8) + 0.5)
GRID = GridArray(VALUES, ("batch", "x", "y"), (0.0, 1.0), (0.8, 2.6), "zero-gradient")


class Text(FileFormat):
    """One number in a line, after the number of samples."""

    name = "text"
    suffixes = (".txt", ".text")

    def read(self, path, variable, dims):
        batch, *values = map(float, path.read_text().split())
        return GridArray(np.reshape(values, (int(batch), -1)), ("batch", "x"), (None,), (None,))

    def write(self, path, grids, attributes):
        (grid,) = grids.values()
        path.write_text(" ".join(map(str, [len(grid.values), *grid.values.ravel()])))


@pytest.fixture
def plugins(monkeypatch):
    """Registers functions that answer `sip_file_formats`, each as a plugin of its own."""
    manager = create_plugin_manager()
    monkeypatch.setattr("phi_sip.plugins.collection.get_plugin_manager", lambda: manager)

    def register(**answers):
        for name, answer in answers.items():
            manager.register(types.SimpleNamespace(sip_file_formats=hookimpl(answer)), name=name)

    return register


def test_a_format_of_a_plugin(plugins, tmp_path):
    grid = GridArray(np.arange(6.0).reshape(2, 3), ("batch", "x"), (None,), (None,))
    with pytest.raises(FileError, match=r"'.txt' is not known"):
        write_grids(tmp_path / "a.txt", {"a": grid})
    plugins(text=lambda: [Text])
    for suffix in (".txt", ".text"):
        write_grids(tmp_path / f"a{suffix}", {"a": grid})
        np.testing.assert_array_equal(read_grid(tmp_path / f"a{suffix}").values, grid.values)
    assert read_field(tmp_path / "a.txt", boundary="periodic", size=3.0).values.shape.volume == 6
    (tmp_path / "a.txt").write_text("two")
    with pytest.raises(FileError, match=r"a\.txt cannot be read: ValueError.*Is it damaged"):
        read_grid(tmp_path / "a.txt")
    with pytest.raises(FileError, match=r"Use one of .*\.zarr, .*\.txt, .*\.text"):
        read_grid_of_unknown_format(tmp_path)


def read_grid_of_unknown_format(folder: Path) -> GridArray:
    (folder / "a.unknown").touch()
    return read_grid(folder / "a.unknown")


def test_two_formats_of_one_suffix(plugins, tmp_path):
    class Other(Text):
        name = "other"
        suffixes = (".npy",)

    plugins(other=lambda: [Other])
    np.save(tmp_path / "a.npy", np.ones((2, 3)))
    with pytest.raises(DuplicateNameError, match=r"'.npy' belongs to phi_sip.files.npy:Npy and to .*Other"):
        read_grid(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", np.ones((2, 3)))
    assert read_grid(tmp_path / "a.npz").values.shape == (2, 3)


def test_plugins_that_give_no_formats_are_left_out(plugins, tmp_path):
    plugins(broken=lambda: 1 / 0, wrong=lambda: [dict], text=lambda: [Text])
    with pytest.warns(PluginWarning) as warned:
        assert Text in file_formats()
    assert {str(w.message).partition("'")[2].partition("'")[0] for w in warned} == {"broken", "wrong"}


def test_two_formats_of_one_name(plugins):
    class Other(Text):
        suffixes = (".other",)

    plugins(text=lambda: [Text], other=lambda: [Other])
    with pytest.warns(PluginWarning, match="'text' is registered twice"):
        assert not {Text, Other} & set(file_formats())


def test_a_library_that_a_format_of_a_plugin_needs(plugins, tmp_path):
    class Exotic(Text):
        name = "exotic"
        libraries = ("no_such_library",)
        install = "exotic-files"

    plugins(exotic=lambda: [Exotic])
    with pytest.raises(UnsupportedError, match=r"needs no_such_library.*pip install 'exotic-files'"):
        write_grids(tmp_path / "a.txt", {"a": GRID})


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".mat"])
def test_formats_that_are_read_only(suffix, tmp_path):
    for use in (check_writable, lambda path: write_grids(path, {"a": GRID})):
        with pytest.raises(FileError, match=r"can only be read. Write .npz, .nc or .zarr"):
            use(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".nc4"])
def test_hdf5_there_and_back(suffix, tmp_path):
    write_grids(tmp_path / f"a{suffix}", {"a": GRID})
    again = read_grid(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(again.values, VALUES)
    assert (again.dims, again.boundary) == (GRID.dims, GRID.boundary)
    np.testing.assert_allclose([again.bounds["x"], again.bounds["y"]], [(0.0, 0.8), (1.0, 2.6)])


def test_groups_of_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["run/heat/T"] = VALUES
        file["run/heat/q"] = VALUES + 1
        file["run/x"], file["run/coordinates/y"] = X, Y
        file["run"].attrs["boundary"] = "periodic"
    for variable in ("run/heat/T", "/run/heat/T"):
        grid = read_grid(tmp_path / "a.h5", variable, ("batch", "x", "y"))
        np.testing.assert_array_equal(grid.values, VALUES)
        assert grid.boundary == "periodic"
        np.testing.assert_allclose([grid.bounds["x"], grid.bounds["y"]], [(0.0, 0.8), (1.0, 2.6)])
    with pytest.raises(FileError, match="It holds run/heat/T, run/heat/q, and there is no variable 'T'"):
        read_grid(tmp_path / "a.h5", "T", ("batch", "x", "y"))


def test_matlab(tmp_path):
    about = {"x": X, "y_centers": Y[:, None], "boundary": "periodic"}
    scipy.io.savemat(tmp_path / "a.mat", {"T": VALUES, **about}, do_compression=True)
    grid = read_grid(tmp_path / "a.mat")
    np.testing.assert_array_equal(grid.values, VALUES)
    assert (grid.dims, grid.boundary) == (("batch", "x", "y"), "periodic")
    np.testing.assert_allclose([grid.bounds["x"], grid.bounds["y"]], [(0.0, 0.8), (1.0, 2.6)])
    assert read_grid(tmp_path / "a.mat", "T", ("z", "x", "y")).dims == ("z", "x", "y")


@pytest.mark.parametrize("names", [np.array([["y", "x"]], object), np.array(["y", "x"])], ids=["cell", "char"])
def test_components_in_matlab(names, tmp_path):
    values = np.arange(24).reshape(1, 3, 4, 2)
    scipy.io.savemat(tmp_path / "a.mat", {"T": values, "vector": names, "boundary": 0.0})
    grid = read_grid(tmp_path / "a.mat", "T", ("batch", "x", "y", "vector"))
    assert (grid.components, grid.boundary) == (("y", "x"), "zero")
    np.testing.assert_array_equal(grid.values, values)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"T": VALUES * 1j}, "real numbers"),
        ({"T": VALUES > 0}, "of type bool"),
        ({"T": {"a": 1.0}}, "of type object"),
        ({"T": np.full((2, 3), np.nan)}, "NaN or infinity"),
        ({"T": VALUES, "q": VALUES}, "It holds T, q, and no variable was named"),
    ],
    ids=["complex", "logical", "struct", "nan", "two"],
)
def test_matlab_files_that_hold_no_grid(held, message, tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", held)
    with pytest.raises(FileError, match=message):
        read_grid(tmp_path / "a.mat")


def test_matlab_files_of_other_versions(tmp_path):
    scipy.io.savemat(tmp_path / "4.mat", {"T": VALUES[0]}, format="4")
    np.testing.assert_array_equal(read_grid(tmp_path / "4.mat").values, VALUES[0])
    with h5py.File(tmp_path / "7.mat", "w", userblock_size=512) as file:
        file["T"] = VALUES
    content = bytearray((tmp_path / "7.mat").read_bytes())
    content[:128] = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (tmp_path / "7.mat").write_bytes(content)
    with pytest.raises(FileError, match=r"version 7.3, which is HDF5. Rename it to .h5"):
        read_grid(tmp_path / "7.mat")
    (tmp_path / "0.mat").write_bytes(b"no such thing")
    with pytest.raises(FileError, match="cannot be read"):
        read_grid(tmp_path / "0.mat")


@pytest.mark.parametrize(
    ("axes", "shape", "dims"),
    [
        ("YX", (4, 5), ("y", "x")),
        ("TYX", (3, 4, 5), ("batch", "y", "x")),
        ("ZYX", (3, 4, 5), ("z", "y", "x")),
        ("TCYX", (2, 2, 4, 5), ("batch", "vector", "y", "x")),
    ],
)
def test_tiff(axes, shape, dims, tmp_path):
    values = np.random.default_rng(0).normal(size=shape).astype("f4")
    tifffile.imwrite(tmp_path / "a.tif", values, metadata={"axes": axes}, photometric="minisblack")
    grid = read_grid(tmp_path / "a.tif")
    np.testing.assert_array_equal(grid.values, values)
    assert (grid.dims, grid.bounds, grid.boundary) == (dims, {}, None)


def test_colours_and_other_stacks_in_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 5, 3), "u1"), photometric="rgb")
    assert read_grid(tmp_path / "a.tif").dims == ("y", "x", "vector")
    stack = np.ones((2, 3, 4, 5), "f4")
    tifffile.imwrite(tmp_path / "b.tif", stack, metadata={"axes": "TRYX"}, photometric="minisblack")
    with pytest.raises(FileError, match="have no names in the file"):
        read_grid(tmp_path / "b.tif")
    assert read_grid(tmp_path / "b.tif", dims=("batch", "z", "y", "x")).resolution == (3, 4, 5)
    with tifffile.TiffWriter(tmp_path / "c.tif") as file:
        for size in (4, 5):
            file.write(np.full((size, 3), size, "f4"), photometric="minisblack")
    with pytest.raises(FileError, match="It holds 0, 1, and no variable was named"):
        read_grid(tmp_path / "c.tif")
    assert (read_grid(tmp_path / "c.tif", "1").values == 5).all()


def test_missing_values_in_tiff(tmp_path):
    values = np.ones((4, 5), "f4")
    values[1, 2] = -9999
    no_data = [(42113, "s", 0, "-9999", True)]
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=no_data)
    with pytest.raises(FileError, match=r"_FillValue is -9999\) in 1 of 20 cells"):
        read_grid(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", values)
    assert read_grid(tmp_path / "b.tif").values.min() == -9999


def test_parts_of_tiff_that_were_never_written(tmp_path):
    def tiles():
        yield np.ones((16, 16), "f4")
        yield None

    tifffile.imwrite(tmp_path / "a.tif", tiles(), shape=(16, 32), dtype="f4", tile=(16, 16))
    with pytest.warns(FileWarning, match="has 1 of 2 chunks of '0'"):
        read_grid(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", [".tif", ".mat"])
def test_damaged_files(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, VALUES[0].astype("f4"), compression="zlib")
    else:
        scipy.io.savemat(path, {"T": VALUES}, do_compression=True)
    content = path.read_bytes()
    for size in range(1, len(content), len(content) // 7):
        path.write_bytes(content[:size])
        with pytest.raises(FileError):
            read_grid(path)


def test_arrays_that_do_not_fit_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("phi_sip.files.memory.available", lambda: 1000)
    scipy.io.savemat(tmp_path / "a.mat", {"T": VALUES})
    tifffile.imwrite(tmp_path / "a.tif", VALUES[0].astype("f4"))
    for name in ("a.mat", "a.tif"):
        with pytest.raises(FileError, match=r"needs .* GB, but"):
            read_grid(tmp_path / name)
