"""Arrays by name in the format safetensors: measured before they are read, and no code in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize, safe_open
from safetensors.numpy import save_file

from ..errors import CheckpointError, UnsupportedError
from ..text.printable import sentence

TYPES = "types"  # key of the metadata: the types, by name of the array, of those that are stored as another
NAMED = 4  # arrays in a message
# NumPy's name of a type → that in the header. The others are stored as real numbers, or as bytes.
CODES = {f"{sign}int{bits}": f"{sign.upper() or 'I'}{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
CODES |= {"bool": "BOOL", "float16": "F16", "float32": "F32", "float64": "F64"}
CODES |= {"bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}


@dataclass(frozen=True)
class Layout:
    """
    Says how an array is stored.

    Attributes:
        code: The type in the header.
        shape: The shape in the header.
        of: Name of the type of the array, where it is stored as another.
    """

    code: str
    shape: tuple[int, ...]
    of: str | None = None

    def __str__(self) -> str:
        return f"{self.code}{list(self.shape)}" + (f" of {self.of}" if self.of else "")


def write_tensors(file: Path, arrays: Mapping[str, Any]) -> None:
    """
    Writes arrays. The format has no complex numbers of every precision: they become pairs of real numbers along a last
    dim. Types that it does not know become bytes along a last dim. Its metadata name the types of both.

    Args:
        file: What to write.
        arrays: Arrays of numbers by name, of NumPy's types and those of `ml_dtypes`.

    Raises:
        UnsupportedError: if one of them holds objects or texts.
    """
    native = {name: _native(array) for name, array in arrays.items()}
    layouts = {name: layout_of(array) for name, array in native.items()}
    types = {name: layout.of for name, layout in layouts.items() if layout.of}
    stored = {
        name: array.reshape(-1).view(_stored_type(array.dtype)).reshape(layouts[name].shape)
        for name, array in native.items()
    }
    save_file(stored, file, {TYPES: json.dumps(types)})


def read_tensors(file: Path, like: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """
    Reads what `write_tensors` wrote, bit for bit.

    Args:
        file: What to read.
        like: Arrays with the names, shapes and types that the file must have.

    Returns:
        The arrays, in the order of `like`.

    Raises:
        CheckpointError: if the file is missing or damaged, or holds other arrays; then none of them has been read.
    """
    if not file.is_file():
        raise CheckpointError(f"{file.name} is missing.")
    known = {name: _native(array) for name, array in like.items()}
    try:
        _compare(file.name, _header(file), {name: layout_of(array) for name, array in known.items()})
        data = {name: entry["data"] for name, entry in deserialize(file.read_bytes())}  # type: ignore[no-untyped-call]
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{file.name} is damaged: {sentence(error)}") from error
    return {name: np.frombuffer(data[name], a.dtype).reshape(a.shape).copy() for name, a in known.items()}


def layout_of(array: Any) -> Layout:
    """
    Tells how an array is stored.

    Raises:
        UnsupportedError: if it holds objects or texts.
    """
    shape, stored = tuple(map(int, array.shape)), _stored_type(array.dtype)
    if stored == array.dtype:
        return Layout(CODES[stored.name], shape)
    return Layout(CODES[stored.name], (*shape, array.dtype.itemsize // stored.itemsize), array.dtype.name)


def _native(array: Any) -> np.ndarray:
    """Returns an array whose bytes lie in order, in the byte order of this machine."""
    found = np.asarray(array)
    contiguous = np.ascontiguousarray(found).reshape(found.shape)  # which makes a number a row
    return contiguous if found.dtype.isnative else contiguous.astype(found.dtype.newbyteorder("="))


def _stored_type(dtype: np.dtype) -> np.dtype:
    """Returns the type that stands in the file for `dtype`."""
    if dtype.name in CODES:
        return dtype
    if dtype.hasobject or dtype.names or dtype.kind in "USmM":
        raise UnsupportedError(f"An array of {dtype} cannot be saved, as it holds no numbers. Use an array of numbers.")
    parts = f"float{4 * dtype.itemsize}" if dtype.kind == "c" else ""
    return np.dtype(parts if parts in CODES else np.uint8)


def _header(file: Path) -> dict[str, Layout]:
    """Reads what a file says of its arrays. The library compares the lengths with that of the file."""
    with safe_open(file, framework="np") as arrays:
        types = json.loads((arrays.metadata() or {}).get(TYPES, "{}"))
        slices = {name: arrays.get_slice(name) for name in arrays.keys()}  # noqa: SIM118
        return {name: Layout(s.get_dtype(), tuple(s.get_shape()), types.get(name)) for name, s in slices.items()}


def _compare(name: str, found: Mapping[str, Layout], expected: Mapping[str, Layout]) -> None:
    wrong = [key for key in {**expected, **found} if found.get(key) != expected.get(key)]
    if not wrong:
        return
    there, here = (
        ", ".join(f"{key}: {layouts[key]}" if key in layouts else f"no {key}" for key in wrong[:NAMED])
        for layouts in (found, expected)
    )
    more = f" ({len(wrong)} weights differ in all)" if len(wrong) > NAMED else ""
    raise CheckpointError(
        f"{name} holds the weights {there}, but the network has {here}{more}, so it was not read. Make the network "
        f"as it was when it was saved."
    )
