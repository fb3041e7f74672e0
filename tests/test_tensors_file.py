"""Weights in safetensors: bit for bit, of every type, and nothing read that does not fit."""

import json

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from phi_sip import CheckpointError, UnsupportedError
from phi_sip.storage.tensors import read_tensors, write_tensors

TYPES = [
    *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
    *(ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3b11fnuz, ml_dtypes.int4),
]
SHAPES = [(), (0,), (5,), (3, 4), (2, 0, 3), (2, 3, 4, 5)]


def of_random_bits(dtype, shape, seed=0):
    """NaN with all their payloads, infinities, zeros with both signs: any bits there can be."""
    dtype, rng = np.dtype(dtype), np.random.default_rng(seed)
    if dtype == np.bool_:
        return rng.random(shape) < 0.5
    if dtype == ml_dtypes.int4:  # of whose bytes only half are numbers
        return rng.integers(-8, 8, shape).astype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    return np.frombuffer(rng.integers(0, 256, size, dtype=np.uint8).tobytes(), dtype).reshape(shape)


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_every_type_comes_back_bit_for_bit(dtype, tmp_path):
    arrays = {str(shape): of_random_bits(dtype, shape) for shape in SHAPES}
    write_tensors(tmp_path / "a.safetensors", arrays)
    found = read_tensors(tmp_path / "a.safetensors", {name: np.zeros_like(a) for name, a in arrays.items()})
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
        assert found[name].flags.writeable


def test_order_in_memory_and_of_bytes_does_not_matter(tmp_path):
    array = np.arange(24.0, dtype=">f4").reshape(2, 3, 4)
    write_tensors(
        tmp_path / "a.safetensors", {"a": array, "b": array.T, "c": array[:, ::2], "d": np.asfortranarray(array)}
    )
    like = {"a": array, "b": array.T, "c": array[:, ::2], "d": array}
    found = read_tensors(tmp_path / "a.safetensors", like)
    assert all(np.array_equal(found[name], like[name]) for name in like)


def test_other_programs_can_read_it(tmp_path):
    """Numbers as themselves; of the rest the metadata tell the types."""
    arrays = {
        "real": np.float32([[1, 2]]),
        "short": np.ones(3, ml_dtypes.bfloat16),
        "complex": np.complex128([1 + 2j]),
        "tiny": np.ones(2, ml_dtypes.float8_e4m3b11fnuz),
    }
    write_tensors(tmp_path / "a.safetensors", arrays)
    with safe_open(tmp_path / "a.safetensors", framework="np") as file:
        assert file.get_tensor("real").tolist() == [[1, 2]]
        assert file.get_tensor("complex").tolist() == [[1, 2]]
        assert file.get_slice("short").get_dtype() == "BF16"
        assert file.get_slice("tiny").get_shape() == [2, 1]
        assert json.loads(file.metadata()["types"]) == {"complex": "complex128", "tiny": "float8_e4m3b11fnuz"}


@pytest.mark.parametrize("values", [["a", "b"], [None, 1], [("a", 1)], np.array(["2020-01-01"], "M8[D]")])
def test_what_is_no_number_is_refused(values, tmp_path):
    with pytest.raises(UnsupportedError, match="holds no numbers"):
        write_tensors(tmp_path / "a.safetensors", {"a": np.array(values)})
    assert not (tmp_path / "a.safetensors").exists()


@pytest.mark.parametrize(
    ("like", "words"),
    [
        ({"a": np.zeros(4, np.float32)}, r"a: F32\[3\], but the network has a: F32\[4\]"),
        ({"a": np.zeros(3, np.float64)}, r"a: F32\[3\], but the network has a: F64\[3\]"),
        ({"b": np.zeros(3, np.float32)}, r"no b, a: F32\[3\], but the network has b: F32\[3\], no a"),
        ({"a": np.zeros(3, np.float32), "b": np.zeros(())}, r"no b, but the network has b: F64\[\]"),
        ({}, r"a: F32\[3\], but the network has no a"),
        ({f"w{i}": np.zeros(1) for i in range(9)}, "10 weights differ in all"),
    ],
)
def test_what_does_not_fit_is_not_read(like, words, tmp_path, monkeypatch):
    file = tmp_path / "a.safetensors"
    write_tensors(file, {"a": np.float32([1, 2, 3])})
    monkeypatch.setattr(type(file), "read_bytes", lambda _: pytest.fail("it was read"))
    with pytest.raises(CheckpointError, match=words):
        read_tensors(file, like)


def test_pairs_are_no_complex_numbers(tmp_path):
    write_tensors(tmp_path / "a.safetensors", {"a": np.zeros((3, 2), np.float32)})
    with pytest.raises(CheckpointError, match=r"F32\[3, 2\], but the network has a: F32\[3, 2\] of complex64"):
        read_tensors(tmp_path / "a.safetensors", {"a": np.zeros(3, np.complex64)})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:7],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"\xff" * 8 + data[8:],  # a header of 2⁶⁴ bytes
        lambda data: data[:8] + b"x" + data[9:],
        lambda data: data.replace(b"[0,12]", b"[4,12]"),
        lambda data: data.replace(b'"{}"', b'"[]"'),
        lambda data: data.replace(b'"{}"', b'"{_"'),
    ],
)
def test_damaged_files_are_named(spoil, tmp_path):
    file = tmp_path / "a.safetensors"
    write_tensors(file, {"a": np.float32([1, 2, 3])})
    data = file.read_bytes()
    assert spoil(data) != data
    file.write_bytes(spoil(data))
    with pytest.raises(CheckpointError, match=r"a\.safetensors is damaged: "):
        read_tensors(file, {"a": np.zeros(3, np.float32)})


def test_missing_files_are_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"a\.safetensors is missing"):
        read_tensors(tmp_path / "a.safetensors", {})


def test_files_of_other_programs_fit(tmp_path):
    save_file({"a": np.float32([1, 2])}, tmp_path / "a.safetensors")
    assert read_tensors(tmp_path / "a.safetensors", {"a": np.zeros(2, np.float32)})["a"].tolist() == [1, 2]
