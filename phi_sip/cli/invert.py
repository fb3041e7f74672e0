"""`phi-sip invert`: states from a file of observations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..storage.toml import value_of
from .output import console
from .parameters import parse_parameters


def invert(
    model: Annotated[Path, typer.Argument(help="Folder of the trained inverse: RUN/model.")],
    observations: Annotated[Path, typer.Argument(help="File .npy, .npz, .nc, .h5 or .hdf5, or folder .zarr.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; its suffix says the format.")],
    variable: Annotated[str | None, typer.Option(show_default=False, help="Which array of the file.")] = None,
    dims: Annotated[
        str | None,
        typer.Option(show_default=False, help="What its dims are called: batch,x,y. Default: by name, or by rank."),
    ] = None,
    boundary: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            help="What holds at the sides: periodic, zero-gradient, zero, a number, or one per axis or side, "
            "x=periodic,y-=0,y+=2.5. Default: as the file says, or as in training.",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            help="Length of the domain, of each axis or of all: x=20,y=3. Default: as the file says, or by cells as in "
            "training.",
        ),
    ] = None,
    components: Annotated[
        str | None,
        typer.Option(show_default=False, help="Names of the components in order, x,y. Default: as the file says."),
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
    cell, where the physics knows one. If the model has an interval, it is
    written too: state ± interval holds most true values. A model may come
    from anybody: it is data. Only with --trust it may name code of its own.

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
        dims=_names(dims),
        boundary=boundary,
        size=_size(size),
        components=_names(components),
        precision=precision,
        batch_size=batch,
        refine=refine,
    )
    console().print(f"{output}: {done['samples']:.0f} states; ½‖P(x) − y*‖² is {done['y_l2']:.4g} on average")


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]


def _size(text: str | None) -> Any:
    if text is None:
        return None
    return parse_parameters(_names(text) or ()) if "=" in text else value_of(text)
