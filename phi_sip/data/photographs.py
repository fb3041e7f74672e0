"""Cut-outs of photographs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from phi.field import Field
from phi.geom import Box
from phiml.math import Shape

from ..errors import ParameterError, UnsupportedError
from .grids import dims_of, drawn_dims, grid_samples
from .samples import Samples
from .seeds import seed_or_global

PICTURES = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "moon")
LUMINANCE = (0.2125, 0.7154, 0.0721)  # ITU-R BT.709


def heat_photographs(
    *shape: Shape, bounds: Box | None = None, seed: int | None = None, pictures: Sequence[str] = PICTURES
) -> Field:
    """
    Returns photographs as initial heat: random square cut-outs of the grey-scale pictures of scikit-image, shrunk to
    the resolution, with values from 0 to 1. Opposite sides do not match, so that there are edges in a periodic domain.

    Args:
        *shape: Batch shapes and one spatial shape of rank 2, as for `heat_rectangles`.
        bounds: Physical domain. Default: unit cells.
        seed: Seed ≥ 0. `None` draws it from NumPy's global state, which PhiFlow's `math.seed` sets.
        pictures: Names of the pictures. To hold out whole pictures, train with some and validate with others.

    Returns:
        Periodic `CenteredGrid` with the batch dims of `shape`, in the current precision of PhiFlow.

    Raises:
        ParameterError: as `heat_rectangles`, or if the resolution is not 2-D, or a picture is not known.
        UnsupportedError: if scikit-image is not installed, or on a thread of `prefetched`, where
            `heat_photograph_samples` must be used.
    """
    return heat_photograph_samples(*shape, bounds=bounds, pictures=pictures)(seed_or_global(seed))


def heat_photograph_samples(
    *shape: Shape, bounds: Box | None = None, pictures: Sequence[str] = PICTURES
) -> Samples[np.ndarray, Field]:
    """Returns the grids of `heat_photographs` as `Samples`. Arguments and errors are those of that function."""
    dims = dims_of("heat_photographs", *shape)
    if dims.spatial.rank != 2:
        raise ParameterError(f"heat_photographs: pictures are 2-D, but the shape is {dims}. Give two spatial dims.")
    entries, sizes = dims.batch.volume, drawn_dims(dims.spatial).sizes
    unknown = [name for name in pictures if name not in PICTURES]
    if unknown or isinstance(pictures, str) or not pictures:
        raise ParameterError(
            f"heat_photographs: pictures = {pictures!r}. Give a list of some of {', '.join(PICTURES)}."
        )
    chosen = [picture for name, picture in zip(PICTURES, _photographs(), strict=True) if name in pictures]
    fitting = [p for p in chosen if all(s <= n for s, n in zip(sizes, p.shape, strict=True))]
    if not fitting:
        raise ParameterError(
            f"heat_photographs: no picture has as many pixels as {dims.spatial}. Give at most 512 cells per axis."
        )
    return grid_samples("heat_photographs", dims, bounds, lambda rng: _cut_outs(rng, entries, fitting, sizes))


@lru_cache(maxsize=1)
def _photographs() -> list[np.ndarray]:
    """Returns the pictures that are installed with scikit-image; others would be downloaded."""
    try:
        from skimage import data
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            "heat_photographs takes its pictures from scikit-image. Install it: pip install scikit-image."
        ) from error
    pictures = [getattr(data, name)() / 255 for name in PICTURES]
    return [picture if picture.ndim == 2 else picture @ LUMINANCE for picture in pictures]


def _cut_outs(rng: np.random.Generator, entries: int, pictures: list[np.ndarray], sizes: tuple[int, ...]) -> np.ndarray:
    """Returns one cut-out of a random picture per entry."""
    return np.stack([_cut_out(pictures[rng.integers(len(pictures))], sizes, rng) for _ in range(entries)])


def _cut_out(picture: np.ndarray, sizes: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Returns means over blocks of pixels at a random place in a picture."""
    factor = int(rng.integers(1, max(2, min(p // s for p, s in zip(picture.shape, sizes, strict=True)) + 1)))
    corner = [int(rng.integers(0, max(1, p - s * factor + 1))) for p, s in zip(picture.shape, sizes, strict=True)]
    part = picture[tuple(slice(c, c + s * factor) for c, s in zip(corner, sizes, strict=True))]
    rows, columns = sizes
    blocks: np.ndarray = part.reshape(rows, factor, columns, factor).mean((1, 3))
    return blocks
