"""Stand-ins for missing data, by the conventions of NetCDF and CF."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import FileError
from .refusals import refuse

FLOAT_FILL = 9.969209968386869e36
DEFAULT_FILLS: dict[str, float | int] = {  # of NetCDF's library, which has none for bytes
    **dict.fromkeys(("f4", "f8"), FLOAT_FILL),
    "i2": -(2**15) + 1,
    "i4": -(2**31) + 1,
    "i8": -(2**63) + 2,
    "u2": 2**16 - 1,
    "u4": 2**32 - 1,
    "u8": 2**64 - 2,
}
UNSIGNED = "_Unsigned"
FILL = "_FillValue"
PACKING_DEFAULTS = (("scale_factor", 1.0), ("add_offset", 0.0))
PACKING = tuple(name for name, _ in PACKING_DEFAULTS)
MARKERS = (FILL, "missing_value", "valid_range", "valid_min", "valid_max")
Outside = Callable[[np.ndarray], np.ndarray]
Compare = Callable[[Any, Any], np.ndarray]


def as_declared(stored: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    """Returns integers as unsigned or signed ones, as the attribute `_Unsigned` says."""
    said = str(attributes.get(UNSIGNED, "")).lower()
    kind = {("true", "i"): "u", ("false", "u"): "i"}.get((said, stored.dtype.kind))
    return stored if kind is None else stored.view(stored.dtype.str.replace(stored.dtype.kind, kind))


def refuse_stand_ins(
    stored: np.ndarray, attributes: Mapping[str, Any], batch: int | None, *, netcdf: bool, fill: Any = None
) -> None:
    """
    Checks that no number stands for a missing one.

    Args:
        stored: The numbers as in the file, before `scale_factor` and `add_offset` are applied.
        attributes: Attributes of the variable.
        batch: Which dim counts samples, for messages.
        netcdf: Whether a NetCDF library wrote the file. If so, its default fill values of integers count too. That of
            floats, 9.97e36, counts in all files.
        fill: Value that the format gives to cells that were never written. 0 is not taken for a stand-in.

    Raises:
        FileError: if one does; the message says which samples, how many cells, and why.
    """
    if stored.dtype.kind not in "fiu":
        return
    for reason, cells in _stand_ins(stored, attributes, netcdf, fill):
        refuse(f"stand-ins for missing data ({reason})", cells, batch)


def _stand_ins(
    stored: np.ndarray, attributes: Mapping[str, Any], netcdf: bool, fill: Any
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields why cells are taken for missing ones, and which."""
    named = {name: attributes[name] for name in (FILL, "missing_value") if attributes.get(name) is not None}
    fills = {name: _numbers(name, value, stored.dtype) for name, value in named.items()}
    default = DEFAULT_FILLS.get(stored.dtype.str[1:])
    if default is not None and (stored.dtype.kind == "f" or (netcdf and FILL not in fills)):
        fills["NetCDF's default fill value"] = np.array([default], stored.dtype)
    if fill is not None and fill != 0 and FILL not in fills and not (netcdf and stored.dtype.itemsize == 1):
        fills["the fill value of the file"] = _numbers("the fill value", fill, stored.dtype)
    for name, values in fills.items():
        for value in values:
            yield (
                f"{name} is {value:g}".replace("nan", "NaN"),
                (np.isnan(stored) if np.isnan(value) else stored == value),
            )
    for reason, outside in _valid(stored.dtype, attributes):
        yield reason, outside(stored)


def _valid(dtype: np.dtype, attributes: Mapping[str, Any]) -> Iterator[tuple[str, Outside]]:
    """Yields why numbers are not valid, and a function that tells which of the stored numbers these are."""
    ends = (("valid_min", np.less, "less"), ("valid_max", np.greater, "more"))
    for place, (name, beyond, word) in enumerate(ends):
        given = name if attributes.get(name) is not None else "valid_range"
        if attributes.get(given) is None:
            continue
        numbers = _numbers(given, attributes[given], None)
        if len(numbers) != (1 if given == name else 2):
            raise FileError(
                f"{given} = {attributes[given]!r}, but it must be {'one number' if given == name else 'two'}."
            )
        bound = numbers[0 if given == name else place]
        yield f"{word} than {bound:g}, by {given}", _outside(bound, beyond, dtype, attributes)


def _outside(bound: Any, beyond: Compare, dtype: np.dtype, attributes: Mapping[str, Any]) -> Outside:
    """
    Returns a function that tells which stored numbers lie beyond a bound.

    By NetCDF's rule a bound counts for stored numbers. It counts for unpacked numbers if its type is that of
    `scale_factor` and `add_offset`, and wider than that of the stored numbers.
    """
    packing = [np.ravel(attributes[name])[0] for name in PACKING if attributes.get(name) is not None]
    wider = packing and bound.dtype == np.result_type(*(np.asarray(number) for number in packing))
    if wider and bound.dtype.itemsize > dtype.itemsize:
        scale, offset = (float(np.ravel(attributes.get(name, usual))[0]) for name, usual in PACKING_DEFAULTS)
        half = abs(scale) / 2 * (1 if beyond is np.greater else -1)  # allows for rounding of stored numbers
        return lambda stored: beyond(stored * scale + offset, float(bound) + half)
    if dtype.kind == "f":
        bound = bound.astype(dtype)  # it may have more digits than the data
    if dtype.kind == "u" and bound < 0 and bound.dtype.itemsize == dtype.itemsize:
        bound = bound.view(dtype)  # it is meant as unsigned, as the data are
    return lambda stored: beyond(stored, bound)


def _numbers(name: str, value: Any, dtype: np.dtype | None) -> np.ndarray:
    """Returns an attribute as numbers, of a given type if they have values of that type."""
    try:
        found = np.ravel(np.asarray(value))
        if found.dtype.kind not in "fiu":
            found = found.astype(np.float64)
        if dtype is None or (dtype.kind != "f" and not np.array_equal(found, np.trunc(found))):
            return found
        limits = np.iinfo(dtype) if dtype.kind in "iu" else None
        if limits is not None and ((found < limits.min) | (found > limits.max)).any():
            signed = dtype.kind == "u" and found.dtype.kind == "i" and found.dtype.itemsize == dtype.itemsize
            return found.view(dtype) if signed else found
        return found.astype(dtype)
    except (TypeError, ValueError) as error:
        raise FileError(f"{name} = {value!r} is no number. Correct it in the file.") from error
