"""Stand-ins for missing data are refused, and files are measured before memory is taken."""

from __future__ import annotations

import io
import json
import zipfile

import h5netcdf
import h5py
import numpy as np
import pytest
import scipy.io
import xarray
import zarr
from numcodecs import Delta
from numcodecs.abc import Codec
from numcodecs.registry import register_codec
from zarr.codecs import numcodecs as delta

from phi_sip.errors import FileError, FileWarning
from phi_sip.files import GridArray, memory, read_grid, write_grids

FILL = 9.969209968386869e36
WRONG = "in 2 of 64 cells, in 1 of 4 samples \\(number 2, counted from 0\\).*Masked"
DIMS = ("batch", "x", "y")


def values(marker, dtype):
    found = 1 + np.arange(64).reshape(4, 4, 4) % 50
    found = found.astype(dtype)
    found[2, 1, :2] = marker
    return found


def netcdf(path, stored, **attributes):
    with h5netcdf.File(path, "w") as file:
        file.dimensions = dict(zip(DIMS, stored.shape, strict=True))
        variable = file.create_variable("T", DIMS, stored.dtype, data=stored)
        for name, value in attributes.items():
            variable.attrs[name] = value


DEFAULTS = [("f4", FILL), ("f8", FILL), ("i2", -32767), ("i4", -(2**31) + 1), ("i8", -(2**63) + 2), ("u2", 65535)]
DECLARED = [
    ("f4", -9999.9, {"missing_value": -9999.9}),
    ("f4", -9999, {"_FillValue": np.float32(-9999)}),
    ("i4", -1, {"missing_value": np.array([7777, -1])}),
    ("i2", 999, {"missing_value": 999.0}),
    ("f4", -9999, {"valid_range": np.array([0.0, 400.0])}),
    ("f8", 1e9, {"valid_max": 400}),
    ("f8", -3, {"valid_min": 0.5}),
    ("i2", -5, {"_FillValue": np.int16(-5), "scale_factor": 0.01, "add_offset": 200.0}),
    ("i2", -7, {"valid_range": np.array([1, 50], "i2"), "scale_factor": 0.01, "add_offset": 200.0}),
    ("i2", 600, {"valid_max": 205.0, "scale_factor": 0.01, "add_offset": 200.0}),  # meant unpacked: a wider type
    ("i2", -32767, {"scale_factor": 0.01}),
    ("i1", -1, {"_Unsigned": "true", "_FillValue": np.int8(-1)}),
    ("i1", -56, {"_Unsigned": "true", "valid_range": np.array([0, 100], "i1")}),
    ("f4", np.nan, {}),
]


@pytest.mark.parametrize(("dtype", "marker", "attributes"), [*((d, m, {}) for d, m in DEFAULTS), *DECLARED], ids=str)
def test_stand_ins_in_netcdf(dtype, marker, attributes, tmp_path):
    netcdf(tmp_path / "a.nc", values(marker, dtype), **attributes)
    with pytest.raises(FileError, match=WRONG):
        read_grid(tmp_path / "a.nc")


@pytest.mark.parametrize(
    ("dtype", "number", "attributes"),
    [
        ("f4", -9999, {}),
        ("i2", -32767, {"_FillValue": np.int16(0)}),
        ("i1", -127, {}),
        ("u1", 255, {}),
        ("i1", -56, {"_Unsigned": "true"}),
        ("f4", 0.1, {"valid_min": 0.1}),
        ("i2", 50, {"valid_max": 200.5, "scale_factor": 0.01, "add_offset": 200.0}),
        ("i2", 3, {"missing_value": 1e20, "valid_range": np.array([1, 50], "i2")}),
    ],
    ids=str,
)
def test_what_only_looks_like_one_is_data(dtype, number, attributes, tmp_path):
    """Also what xarray, which masks only what attributes name, would read."""
    netcdf(tmp_path / "a.nc", values(number, dtype), **attributes)
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as dataset:
        np.testing.assert_allclose(read_grid(tmp_path / "a.nc").values, dataset["T"].values, rtol=1e-6)


def test_stand_ins_in_other_formats(tmp_path):
    with scipy.io.netcdf_file(tmp_path / "a.nc", "w") as file:
        for name in DIMS:
            file.createDimension(name, 4)
        file.createVariable("T", "f8", DIMS)[:] = values(FILL, "f8")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("T", data=values(-9999, "i4"), fillvalue=-9999)
    np.save(tmp_path / "c.npy", values(FILL, "f4"))
    np.savez(tmp_path / "d.npz", T=values(FILL, "f8"))
    encoding = {"T": {"_FillValue": -9999.0}}
    data = xarray.Dataset({"T": (DIMS, values(np.nan, "f8"))})
    for name, version in (("e.zarr", 2), ("f.zarr", 3)):
        data.to_zarr(tmp_path / name, encoding=encoding, zarr_format=version, consolidated=False)
    for name in ("a.nc", "b.h5", "c.npy", "d.npz", "e.zarr", "f.zarr"):
        with pytest.raises(FileError, match=WRONG):
            read_grid(tmp_path / name, dims=DIMS)


def test_zeros_in_zarr_and_hdf5_are_data(tmp_path):
    """The usual fill value of the formats, which says nothing."""
    zarr.save_array(str(tmp_path / "a.zarr"), np.zeros((4, 4)))
    group = zarr.open_group(str(tmp_path / "b.zarr"), mode="w")
    group.create_array("T", shape=(2, 4), chunks=(1, 4), dtype="i4", fill_value=0)[1] = 3
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["T"] = values(-32767, "i2")
    with pytest.warns(FileWarning, match=r"has 1 of 2 chunks of 'T'. What was never written is read as 0"):
        assert read_grid(tmp_path / "b.zarr", dims=("batch", "x")).values.tolist() == [[0] * 4, [3] * 4]
    assert read_grid(tmp_path / "c.h5", dims=DIMS).values.min() == -32767
    with pytest.warns(FileWarning, match="has 0 of 1 chunks of 'array'"):
        assert read_grid(tmp_path / "a.zarr", dims=("batch", "x")).values.max() == 0


def test_chunks_that_were_never_written(tmp_path, recwarn):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("T", (4, 4), "f8", chunks=(1, 4))[1:3] = 1
        file.create_dataset("U", (4, 4), "f8")
        file.create_dataset("V", (4, 4), "f8", chunks=(3, 3))[:] = 0
        file["W"] = np.zeros((4, 4))
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    group.create_array("T", shape=(8, 4), chunks=(1, 4), shards=(4, 4), dtype="f4")[:4] = 1
    for name, variable in (("a.h5", "T"), ("a.h5", "U"), ("a.zarr", "T")):
        with pytest.warns(FileWarning, match=f"chunks of '{variable}'. What was never written is read as 0"):
            read_grid(tmp_path / name, variable, ("batch", "x"))
    recwarn.clear()
    for name in "VW":
        read_grid(tmp_path / "a.h5", name, ("batch", "x"))
    write_grids(tmp_path / "b.zarr", {"a": GridArray(np.zeros((2, 4)), ("batch", "x"), (0.0,), (1.0,))})
    assert read_grid(tmp_path / "b.zarr").values.max() == 0
    assert not [warning for warning in recwarn if issubclass(warning.category, FileWarning)]


class Strange(Codec):
    """A codec that does what it likes."""

    codec_id = "strange"
    used = False

    def encode(self, buf):
        return buf

    def decode(self, buf, out=None):
        Strange.used = True
        return buf


def test_codecs_that_could_run_code_are_not_run(tmp_path):
    register_codec(Strange)
    data = np.ones((2, 4))
    for option in ("filters", "compressors"):
        group = zarr.open_group(str(tmp_path / f"{option}.zarr"), mode="w", zarr_format=2)
        group.create_array("T", data=data, **{option: [Strange()]})
        with pytest.raises(FileError, match="by the codec strange, which"):
            read_grid(tmp_path / f"{option}.zarr", dims=("batch", "x"))
    assert not Strange.used
    for version, codec in ((2, Delta("f8")), (3, delta.Delta(dtype="f8"))):
        group = zarr.open_group(str(tmp_path / f"{version}.zarr"), mode="w", zarr_format=version)
        group.create_array("T", data=data, filters=[codec])
        assert (read_grid(tmp_path / f"{version}.zarr", dims=("batch", "x")).values == 1).all()


HUGE = (10**6, 10**6)
OTHERS = {"lower": [0], "upper": [1], "boundary": "", "attributes": []}


def bomb_npy(path):
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": HUGE})


def bomb_npz(path, name="T", **others):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": HUGE})
    np.savez(path, **others)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", header.getvalue())


def bomb_hdf5(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("T", HUGE, "f8", chunks=(1000, 1000))


def bomb_coordinate(path):
    with h5py.File(path, "w") as file:
        file["T"] = np.ones((4, 4))
        file.create_dataset("X", HUGE, "f8", chunks=(1000, 1000))
        file.create_dataset("x_faces", (10**12,), "f8", chunks=(1000,))


def bomb_chunk(path):
    group = zarr.open_group(str(path), mode="w")
    group.create_array("T", shape=(4, 4), chunks=(4, 4), dtype="f8")
    about = json.loads((path / "T" / "zarr.json").read_text())
    about["chunk_grid"]["configuration"]["chunk_shape"] = HUGE
    (path / "T" / "zarr.json").write_text(json.dumps(about))


def bomb_zarr(path):
    zarr.open_group(str(path), mode="w").create_array("T", shape=HUGE, chunks=(1000, 1000), dtype="f8")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (bomb_npy, "a.npy"),
        (bomb_npz, "a.npz"),
        (lambda path: bomb_npz(path, "T", y=np.ones(4)), "a.npz"),
        (
            lambda path: bomb_npz(path, "dims", T=np.ones((4, 4)), lower=[0], upper=[1], boundary="", attributes=[]),
            "a.npz",
        ),
        (bomb_hdf5, "a.h5"),
        (bomb_zarr, "a.zarr"),
        (bomb_chunk, "a.zarr"),
    ],
)
def test_small_files_that_unpack_to_more_than_memory(make, name, tmp_path):
    make(tmp_path / name)
    named = make not in (bomb_npy, bomb_npz)
    with pytest.raises(FileError, match=r"needs .* GB, but|longer than 65536 bytes"):
        read_grid(tmp_path / name, "T" if named else None, ("x", "y") if named else None)


def test_coordinates_that_are_none_are_not_read(tmp_path):
    bomb_coordinate(tmp_path / "a.h5")
    with pytest.raises(FileError, match=r"'x_faces' has 1000000000000 entries"):
        read_grid(tmp_path / "a.h5", "T", ("batch", "x"))


def test_the_limit_is_half_of_the_memory_that_is_left(tmp_path, monkeypatch):
    assert 2**20 < memory.available() < 2**62
    np.save(tmp_path / "a.npy", np.ones((2, 1000)))
    monkeypatch.setattr(memory, "available", lambda: 32000)
    assert read_grid(tmp_path / "a.npy").values.nbytes == 16000
    monkeypatch.setattr(memory, "available", lambda: 31000)
    with pytest.raises(FileError, match=r"needs 1\.6e-05 GB, but 1\.55e-05 GB can be used"):
        read_grid(tmp_path / "a.npy")
