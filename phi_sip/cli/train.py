"""`phi-sip train`: from an experiment file to a trained inverse and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .frameworks import Framework

RUNS = Path("runs")


def train(
    file: Annotated[
        Path | None,
        typer.Argument(show_default=False, help="TOML file. Without it: heat conduction."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", show_default=False, help="New folder. Default: runs/NAME"),
    ] = None,
    framework: Annotated[Framework | None, typer.Option(show_default=False, help="What trains.")] = None,
    steps: Annotated[int | None, typer.Option(show_default=False, help="Number of steps.")] = None,
    seed: Annotated[int | None, typer.Option(show_default=False, help="Of weights and data.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small and short, to see that everything works.")] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", show_default=False, help="table.key=value over the file; repeatable.")
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Import and call what the file of a run names as module:function."),
    ] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write for TensorBoard.")] = False,
) -> None:
    """
    Train a network to invert a physics, and keep the run in a folder.

    The folder holds records, samples, checkpoints, the trained inverse and
    report.html. What is interrupted goes on with phi-sip resume. A file that
    names code as module:function is run like a script: read what others
    wrote. The experiment.toml of a run needs --trust for that.

    \b
    Examples:
      phi-sip train --quick
      phi-sip train experiment.toml --framework torch -o runs/first
      phi-sip train --set data.noise_std=1e-3 --set training.solver=gradient
    """
    from ..experiment import read_experiment
    from ..experiment.reading import assignments
    from ..experiment.specification import QUICK
    from .running import begin
    from .strangers import check_name, is_of_a_run

    flags: dict[str, dict[str, Any]] = {
        "experiment": {"framework": framework and framework.value, "seed": seed},
        "training": {"steps": steps},
    }
    overrides: list[dict[str, Any]] = [QUICK] if quick else []
    experiment = read_experiment(file, [*overrides, _given(flags), assignments(set_ or [])])
    if output is None:
        check_name(experiment.experiment.name)
    begin(experiment, output, RUNS, tensorboard, trust or not is_of_a_run(file))


def _given(flags: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {table: {k: v for k, v in keys.items() if v is not None} for table, keys in flags.items()}
