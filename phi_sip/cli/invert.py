"""`phi-sip invert`: states from a file of observations."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from .output import console


class Boundary(str, Enum):
    """Of the grids."""

    periodic = "periodic"
    zero_gradient = "zero-gradient"
    zero = "zero"


def invert(
    model: Annotated[Path, typer.Argument(help="Folder of the trained inverse: RUN/model.")],
    observations: Annotated[Path, typer.Argument(help="File .npy, .npz or .nc, or folder .zarr.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; its suffix says the format.")],
    variable: Annotated[str | None, typer.Option(show_default=False, help="Which array of the file.")] = None,
    dims: Annotated[
        str | None,
        typer.Option(show_default=False, help="What its dims are called: batch,x,y. Default: by name, or by rank."),
    ] = None,
    boundary: Annotated[
        Boundary | None,
        typer.Option(show_default=False, help="What holds at the sides. Default: as the file says, or as in training."),
    ] = None,
    precision: Annotated[int, typer.Option(help="Bits that the physics computes with: 32 or 64.")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="Samples at once.")] = 64,
    trust: Annotated[
        bool, typer.Option("--trust", help="Import and call a network module:function that the folder names.")
    ] = False,
    refine: Annotated[int, typer.Option(min=0, help="Times the physics' own inverse goes on from there.")] = 0,
) -> None:
    """
    Invert the observations in a file by a trained network.

    Writes the variables state, and uncertainty, the standard deviation per
    cell, where the physics knows one. A model may come from anybody: it is
    data. Only with --trust it may name code of its own.

    \b
    Examples:
      phi-sip invert runs/heat/model observations.npy -o states.npz
      phi-sip invert runs/heat/model observations.nc -o states.nc --variable T
      phi-sip invert runs/heat/model lat_lon.nc -o states.nc --dims batch,y,x
    """
    from ..inference import invert_file, load_inverse

    done = invert_file(
        load_inverse(model, trust),
        observations,
        output,
        variable=variable,
        dims=None if dims is None else [dim.strip() for dim in dims.split(",")],
        boundary=None if boundary is None else boundary.value,
        precision=precision,
        batch_size=batch,
        refine=refine,
    )
    console().print(f"{output}: {done['samples']:.0f} states; ½‖P(x) − y*‖² is {done['y_l2']:.4g} on average")
