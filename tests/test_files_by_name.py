"""What files of other programs say, by name: any order of dims, bounds and components is one and the same grid."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import phi.field
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from phi.field import CenteredGrid
from phi.flow import Scene
from phi.geom import Box
from phiml import math
from phiml.math import batch, channel, extrapolation, spatial

from phi_sip import HeatEquation, sip_inverse
from phi_sip.data import scenes, stored
from phi_sip.errors import FileError, ParameterError
from phi_sip.files import GridArray, read_field, read_grid, write_grids
from phi_sip.files.boundaries import NAMED, boundary_of, words_of
from phi_sip.inference.grid import TrainingGrid

DTYPES = ("<f4", "<f8", ">f4", ">f8", "<i2", "<i8", "u1")


@dataclass
class Case:
    """A grid whose every cell, axis and component has a value of its own."""

    dims: tuple[str, ...]
    sizes: dict[str, int]
    bounds: dict[str, tuple[float, float]]
    components: tuple[str, ...] | None
    values: np.ndarray

    @property
    def axes(self) -> list[str]:
        return [dim for dim in self.dims if dim in "xyz"]

    def centers(self, axis: str) -> np.ndarray:
        low, high = self.bounds[axis]
        return low + (high - low) * (np.arange(self.sizes[axis]) + 0.5) / self.sizes[axis]


@st.composite
def cases(draw) -> Case:
    axes = draw(st.sampled_from([("x",), ("x", "y"), ("x", "y", "z")]))
    vector = draw(st.booleans())
    components = draw(st.permutations(axes)) if vector else None
    if vector and draw(st.booleans()):
        components = draw(st.permutations(("u", "speed", "T")))
    dims = tuple(draw(st.permutations(("batch", *axes, *(("vector",) if vector else ())))))
    sizes = {dim: draw(st.integers(2, 4)) for dim in ("batch", *axes)}
    sizes |= {"vector": len(components)} if components else {}
    edges = {axis: (draw(st.integers(-9, 9)) / 2, draw(st.integers(1, 9)) / 4) for axis in draw(st.permutations(axes))}
    bounds = {axis: (low, low + length) for axis, (low, length) in edges.items()}
    shape = [sizes[dim] for dim in dims]
    values = np.arange(np.prod(shape)).reshape(shape) % 200
    return Case(dims, sizes, bounds, components, values.astype(draw(st.sampled_from(DTYPES))))


def write_phiflow(case: Case, path: Path) -> dict[str, Any]:
    kinds = {"batch": batch, "vector": channel}
    dims = [kinds.get(d, spatial)(**{d: case.components if d == "vector" else case.sizes[d]}) for d in case.dims]
    with math.precision(64):
        values = math.tensor(case.values.astype(np.float64), *dims)
        phi.field.write(CenteredGrid(values, extrapolation.PERIODIC, bounds=Box(**case.bounds)), str(path))
    return {}


def write_numpy(case: Case, path: Path) -> dict[str, Any]:
    coordinates = {f"{axis}_centers": case.centers(axis) for axis in case.axes}
    np.savez(path, T=case.values, **coordinates, **({"vector": case.components} if case.components else {}))
    return {"dims": case.dims}


def dataset(case: Case) -> xarray.Dataset:
    coordinates: dict[str, Any] = {axis: case.centers(axis) for axis in case.axes}
    if case.components:
        coordinates["vector"] = list(case.components)
    return xarray.Dataset({"T": (case.dims, case.values)}, coordinates)


def write_netcdf(case: Case, path: Path) -> dict[str, Any]:
    dataset(case).to_netcdf(path, engine="h5netcdf", group="a/b")
    return {}


def write_netcdf_3(case: Case, path: Path) -> dict[str, Any]:
    made = dataset(case)
    made["T"] = made["T"].astype(made["T"].dtype.newbyteorder(">") if made["T"].dtype.kind == "f" else "i4")
    made.to_netcdf(path, engine="scipy")
    return {}


def write_zarr(case: Case, path: Path) -> dict[str, Any]:
    native = dataset(case)
    native["T"] = native["T"].astype(native["T"].dtype.newbyteorder("="))
    native.to_zarr(path, mode="w", consolidated=False)
    return {}


def write_hdf5(case: Case, path: Path) -> dict[str, Any]:
    """As PDEBench has it: coordinates beside the values, the names of dims nowhere."""
    with h5py.File(path, "w") as file:
        file["T"] = case.values
        for axis in case.axes:
            file[f"{axis}-coordinate"] = case.centers(axis)
        if case.components:
            file["vector"] = list(case.components)
    return {"dims": case.dims}


WRITERS = [
    (write_phiflow, ".npz"),
    (write_numpy, ".npz"),
    (write_netcdf, ".nc"),
    (write_netcdf_3, ".nc"),
    (write_zarr, ".zarr"),
    (write_hdf5, ".hdf5"),
]


@pytest.mark.parametrize(("write", "suffix"), WRITERS, ids=lambda part: getattr(part, "__name__", part))
@given(case=cases())
@settings(max_examples=25, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_any_order_of_dims_bounds_and_components(write, suffix, tmp_path_factory, case):
    path = tmp_path_factory.getbasetemp() / f"{write.__name__}{suffix}"
    if path.is_file():
        path.unlink()
    grid = read_grid(path, **write(case, path))
    check(grid, case)
    name = path.with_name(f"again_{write.__name__}.npz")
    write_grids(name, {"a": grid})
    check(read_grid(name), case)
    field = grid.to_field("periodic")
    for axis, (low, high) in case.bounds.items():
        np.testing.assert_allclose(float(field.bounds.lower.vector[axis]), low, atol=1e-6)
        np.testing.assert_allclose(float(field.dx.vector[axis]), (high - low) / case.sizes[axis], rtol=1e-6)
    for place, component in enumerate(case.components or ()):
        found = field.values.vector[component].numpy(["batch", *case.axes])
        dims = [dim for dim in case.dims if dim != "vector"]
        expected = np.take(case.values, place, case.dims.index("vector"))
        np.testing.assert_array_equal(found, np.transpose(expected, [dims.index(d) for d in ("batch", *case.axes)]))


def check(grid: GridArray, case: Case) -> None:
    assert set(grid.dims) == set(case.dims)
    np.testing.assert_array_equal(np.transpose(grid.values, [grid.dims.index(dim) for dim in case.dims]), case.values)
    assert grid.components == (None if case.components is None else tuple(case.components))
    for axis, bounds in grid.bounds.items():
        np.testing.assert_allclose(bounds, case.bounds[axis], atol=1e-6)
    assert set(grid.bounds) == set(case.axes)


KNOWN = [boundary for name, boundary in NAMED.items() if name != "antireflect"]  # which PhiFlow 3.4 reads as another
ONE_SIDE = st.sampled_from([*KNOWN, extrapolation.ConstantExtrapolation(0.1)])


@st.composite
def boundaries(draw) -> Any:
    sides = {axis: draw(ONE_SIDE | st.tuples(ONE_SIDE, ONE_SIDE)) for axis in draw(st.permutations(("x", "y")))}
    return extrapolation.combine_sides(sides)


@given(boundary=boundaries(), precision=st.sampled_from([32, 64]))
@settings(max_examples=25, deadline=None)
def test_boundaries_of_phiflow_are_read_as_data(boundary, precision, tmp_path_factory):
    """Periodic, insulated, held at a value, per axis and per side: as PhiFlow itself would read it."""
    path = tmp_path_factory.getbasetemp() / "boundary.npz"
    with math.precision(precision):
        phi.field.write(CenteredGrid(1.0, boundary, x=3, y=4, bounds=Box(x=3.0, y=1.0)), str(path))
        expected = phi.field.read(str(path)).boundary
        grid = read_grid(path)
        assert boundary_of(grid.boundary) == boundary_of(words_of(boundary)) == boundary_of(words_of(expected))
        assert grid.to_field(precision=precision).boundary == boundary_of(words_of(boundary))
        same = GridArray.of_field(grid.to_field(precision=precision))
    write_grids(path.with_name("boundary_again.npz"), {"a": same})
    assert read_grid(path.with_name("boundary_again.npz")).boundary == grid.boundary


@pytest.mark.parametrize(
    "words",
    ["open", "nan", "x=periodic,x=zero", "x-=zero,y=periodic", "x=open,y=zero", "x=zero", "z=zero,x=zero,y=zero"],
)
def test_words_that_are_no_boundary(words):
    with pytest.raises(ParameterError, match="boundary = '"):
        CASE.to_field(words)


@pytest.mark.parametrize("boundary", [extrapolation.PERIODIC, 0, 2.5, {"x": 0, "y": (0, extrapolation.ZERO_GRADIENT)}])
def test_boundaries_as_phiflow_takes_them(boundary):
    assert CASE.to_field(boundary).boundary == extrapolation.as_extrapolation(boundary)
    with pytest.raises(ParameterError, match="boundary = "):
        CASE.to_field(math.vec(x=1.0, y=2.0))
    with pytest.raises(ParameterError, match="boundary = "):
        CASE.to_field(print)


CASE = GridArray(np.arange(24.0).reshape(2, 3, 4), ("batch", "x", "y"), (0.0, -1.0), (1.5, 3.0), "zero-gradient")


def test_boundaries_that_have_no_words_are_asked_for(tmp_path):
    per_component = extrapolation.ConstantExtrapolation(math.vec(x=1.0, y=2.0))
    phi.field.write(CenteredGrid(math.vec(x=1.0, y=2.0), per_component, x=3, y=4), str(tmp_path / "a.npz"))
    assert read_grid(tmp_path / "a.npz").boundary is None
    with pytest.raises(ParameterError, match=r"The file says boundary = .*Give boundary="):
        TrainingGrid(("x", "y"), (1.0, 1.0), "periodic").completed(read_grid(tmp_path / "a.npz"))
    with pytest.raises(ParameterError, match="Give boundary="):
        read_field(tmp_path / "a.npz")
    assert read_field(tmp_path / "a.npz", boundary="x=2.5,y=periodic").boundary.ext["y"] == extrapolation.PERIODIC


@pytest.mark.parametrize(
    ("name", "said", "expected"),
    [
        ("boundary", "ZERO", "zero"),
        ("Boundary", "Zero_Gradient", "zero-gradient"),
        ("boundary_conditions", "periodic", "periodic"),
        ("boundary", 0.0, "zero"),
        ("boundary", np.array([2.5]), "2.5"),
        ("bc_x", "periodic", None),
        ("boundary", "dirichlet", None),
        ("BC", "Neumann", None),
        ("boundary", "x=zero", None),
        ("boundary", np.array([0.0, 1.0]), None),
    ],
    ids=str,
)
def test_boundaries_that_files_state(name, said, expected, tmp_path):
    """Read, or asked for: nothing else takes their place, also not the boundary of the training."""
    made = xarray.Dataset({"T": (("batch", "x", "y"), np.ones((2, 3, 4)))}, {"x": np.arange(3.0), "y": np.arange(4.0)})
    made.assign_attrs({name: said}).to_netcdf(tmp_path / "group.nc", engine="h5netcdf")
    made["T"].attrs[name] = said
    made.assign_attrs(boundary="symmetric").to_netcdf(tmp_path / "own.nc", engine="h5netcdf")
    again = tmp_path / "again.npz"
    for file in ("group.nc", "own.nc"):
        grid = read_grid(tmp_path / file)
        assert grid.boundary == expected
        if expected is None:
            trained = TrainingGrid(("x", "y"), (1.0, 1.0), "periodic")
            for use in (
                GridArray.told,
                GridArray.to_field,
                trained.completed,
                lambda one: write_grids(again, {"a": one}),
            ):
                with pytest.raises(ParameterError, match=r"The file says boundary = .*Give boundary=.*--boundary"):
                    use(grid)
            assert trained.completed(grid.told("zero")).boundary == "zero"


def test_boundaries_in_arrays_and_groups(tmp_path):
    np.savez(tmp_path / "a.npz", T=np.ones((2, 3)), boundary="Periodic")
    np.savez(tmp_path / "b.npz", T=np.ones((2, 3)), boundary=0.0)
    np.savez(tmp_path / "c.npz", T=np.ones((2, 3)), boundary=["periodic", "zero"])
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["T"] = np.ones((2, 3))
        file.create_group("boundary_conditions/x_wall")
    for name, expected in (("a.npz", "periodic"), ("b.npz", "zero"), ("c.npz", None), ("d.h5", None)):
        grid = read_grid(tmp_path / name, dims=("batch", "x"))
        assert (grid.boundary, "boundary" in grid.unread) == (expected, expected is None)


@pytest.mark.parametrize("version", [2, 3])
def test_components_in_zarr_that_have_strings_of_any_length(version, tmp_path):
    names = np.array(["y", "x"], np.dtypes.StringDType())
    values = np.arange(24.0).reshape(1, 2, 3, 4)
    dims = ["batch", "vector", "x", "y"]
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=version)
    for name, data, own in (("T", values + 1, dims), ("vector", names, ["vector"])):
        array = group.create_array(name, data=data, **({"dimension_names": own} if version == 3 else {}))
        array.attrs["_ARRAY_DIMENSIONS"] = own
    assert read_grid(tmp_path / "a.zarr").components == ("y", "x")


def test_components_that_are_no_names_are_asked_for(tmp_path):
    values = np.arange(24.0).reshape(1, 3, 4, 2)
    made = xarray.Dataset({"T": (("batch", "x", "y", "vector"), values)}, {"vector": [1, 0]})
    made.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    known = {"boundary": "periodic", "size": 1.0}
    with pytest.raises(ParameterError, match=r"says components = 'vector', an array of type int64.*components="):
        read_field(tmp_path / "a.nc", **known)
    assert float(read_field(tmp_path / "a.nc", **known, components=["y", "x"]).values.vector["x"].x[0].y[0].mean) == 1


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self._proof = proof

    def __reduce__(self) -> Any:
        return Path.touch, (self._proof,)


def test_code_in_place_of_names_and_boundaries_is_not_run(tmp_path):
    phi.field.write(CenteredGrid(1.0, extrapolation.PERIODIC, x=3, y=4), str(tmp_path / "a.npz"))
    whole = dict(np.load(tmp_path / "a.npz", allow_pickle=True))
    bad = np.empty((), dtype=object)
    bad[()] = {"type": "periodic", "and": Payload(tmp_path / "proof")}
    np.savez(tmp_path / "b.npz", **{**whole, "extrapolation": bad})
    assert read_grid(tmp_path / "b.npz").boundary is None
    vector = {"dim_names": ["x", "vector"], "dim_types": ["spatial", "channel"], "data": np.ones((3, 1))}
    bounds = {"lower": [0.0], "upper": [3.0], "bounds_item_names": ["x"]}
    names = np.array([None, (Payload(tmp_path / "proof"),)], dtype=object)
    np.savez(tmp_path / "c.npz", **{**whole, **vector, **bounds, "dim_item_names": names})
    with pytest.raises(FileError, match="wants to call"):
        read_grid(tmp_path / "c.npz")
    assert not (tmp_path / "proof").exists()


def test_scenes_of_an_insulated_plate(tmp_path):
    """The inverse of what was read is that of what was written."""
    physics = HeatEquation(0.5, 1.0, noise_std=1e-8)
    with math.precision(64):
        values = math.tensor(np.random.default_rng(0).normal(size=(12, 9)).cumsum(0), spatial("y,x"))
        plate = CenteredGrid(values, extrapolation.ZERO_GRADIENT, bounds=Box(x=6.0, y=9.0))
        y = physics.forward(plate)
        Scene.create(str(tmp_path)).write(heat=y, frame=0)
        found = next(scenes(tmp_path, "heat", batch_size=1).training(1)).y_target
        expected, inverse = (sip_inverse(physics, f, f * 0).x_target for f in (y, found))
        np.testing.assert_allclose(found.dx.numpy("vector"), [2 / 3, 0.75])
        np.testing.assert_allclose(inverse.values.numpy("batch,x,y")[0], expected.values.numpy("x,y"), atol=1e-8)


def test_components_that_nobody_has_named(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(24.0).reshape(1, 3, 4, 2))
    known = {"boundary": "periodic", "size": 1.0}
    assert read_field(tmp_path / "a.npy", dims=("batch", "x", "y", "vector"), **known).values.vector.item_names == (
        "x",
        "y",
    )
    with pytest.raises(ParameterError, match=r"which component is along which axis.*components="):
        read_field(tmp_path / "a.npy", dims=("batch", "y", "x", "vector"), **known)
    for names in itertools.permutations("xy"):
        found = read_field(tmp_path / "a.npy", dims=("batch", "y", "x", "vector"), **known, components=names)
        assert float(found.values.vector["x"].x[0].y[0].mean) == names.index("x")
    for wrong in (("x",), ("x", "x"), ("x", "y", "z")):
        with pytest.raises(ParameterError, match="components = "):
            read_field(tmp_path / "a.npy", dims=("batch", "y", "x", "vector"), **known, components=wrong)


def test_files_of_other_orders_are_put_together(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    write_grids(tmp_path / "a.npz", {"v": velocity(values, "xy")})
    turned = replace_order(values)
    write_grids(tmp_path / "b.nc", {"v": turned})
    found = stored([tmp_path / "a.npz", tmp_path / "b.nc"], batch_size=4).training(1)
    with math.precision(64):
        samples = next(found).y_target.values.numpy("batch,x,y,vector")
    for sample in samples:
        assert min(np.abs(sample - one).max() for one in values) < 1e-12
    write_grids(
        tmp_path / "c.npz", {"v": GridArray(values, ("batch", "x", "y", "vector"), (0.0, 0.0), (1.0, 2.0), "zero")}
    )
    with pytest.raises(FileError, match="holds another grid"):
        stored([tmp_path / "a.npz", tmp_path / "c.npz"], batch_size=2)


@pytest.mark.parametrize("suffix", [".npz", ".nc"])
def test_fields_of_two_files_can_be_combined_and_keep_their_order(suffix, tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    write_grids(tmp_path / f"a{suffix}", {"v": velocity(values, "xy")})
    write_grids(tmp_path / f"b{suffix}", {"v": replace_order(values)})
    with math.precision(64):
        a, b = (read_field(tmp_path / f"{name}{suffix}") for name in "ab")
        np.testing.assert_allclose((a - b).values.numpy("batch,x,y,vector"), 0, atol=1e-12)
        assert GridArray.of_field(b).dims == ("batch", "y", "x", "vector")
        np.testing.assert_array_equal(GridArray.of_field(b).in_order().values, values)


def velocity(values: np.ndarray, components: str) -> GridArray:
    dims = ("batch", "x", "y", "vector")
    return GridArray(values, dims, (0.0, 0.0), (1.0, 2.0), "periodic", components=tuple(components))


def replace_order(values: np.ndarray) -> GridArray:
    turned = values[..., ::-1].transpose(2, 0, 3, 1)
    return GridArray(turned, ("y", "batch", "vector", "x"), (0.0, 0.0), (2.0, 1.0), "periodic", components=("y", "x"))
