"""`phi-sip resume`: goes on with a run where it was saved last."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def resume(
    folder: Annotated[Path, typer.Argument(help="Folder of the run.", metavar="RUN")],
    steps: Annotated[
        int | None, typer.Option(show_default=False, help="Number of steps of the whole run, if it is to be another.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Import and call what its experiment.toml names as module:function.")
    ] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write for TensorBoard.")] = False,
) -> None:
    """
    Go on with a run from its last good checkpoint.

    It ends with the same weights as if it had not been interrupted. A folder
    may come from anybody: it is data. Only with --trust it may name code.

    \b
    Examples:
      phi-sip resume runs/heat
      phi-sip resume runs/heat --steps 2000
    """
    from ..errors import RunFolderError
    from ..experiment import read_experiment
    from ..training.run_folder import EXPERIMENT
    from .running import go_on

    if not (folder / EXPERIMENT).exists():
        raise RunFolderError(
            f"{folder} is not the folder of a run that phi-sip train has begun: it has no {EXPERIMENT}. Runs of a "
            f"script go on when the script is started again."
        )
    experiment = read_experiment(folder / EXPERIMENT, [] if steps is None else [{"training": {"steps": steps}}])
    go_on(experiment, folder, tensorboard, trust)
