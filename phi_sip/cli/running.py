"""What `train` and `resume` share: a run from an experiment to its report."""

from __future__ import annotations

from pathlib import Path

from ..errors import RunFolderError
from ..experiment import Experiment, build, write_experiment
from ..training import Callback, RunRecord
from .output import console

EXPERIMENT, MODEL = "experiment.toml", "model"


def new_folder(asked: Path | None, parent: Path, name: str) -> Path:
    """
    The folder of a new run: the one asked for, or the first of NAME, NAME-2, … that is not there yet.

    Raises:
        RunFolderError: if the one asked for is there and not empty.
    """
    if asked is None:
        candidates = (parent / (name if i == 1 else f"{name}-{i}") for i in range(1, 10**6))
        return next(folder for folder in candidates if not folder.exists())
    if asked.exists() and (not asked.is_dir() or any(asked.iterdir())):
        raise RunFolderError(
            f"{asked} is there already. Go on with it: phi-sip resume {asked}, or name another folder."
        )
    return asked


def run(experiment: Experiment, folder: Path, tensorboard: bool, trust: bool) -> None:
    """Trains, saves the trained inverse and writes the report."""
    from ..inference import save_inverse
    from ..reporting import write_report

    built = build(experiment, trust)
    if not (folder / EXPERIMENT).exists():
        _begin(experiment, folder)
    built.train(folder, [ExperimentFile(experiment, folder), *_callbacks(folder, tensorboard)])
    best = built.restore_best(folder)
    save_inverse(folder / MODEL, built.net, built.physics, built.network, built.validation.y_target)
    page = write_report([folder], folder / "report.html")
    console().print(f"Report: {page}")
    of = f", of step {best.step}, the best" if best else ""
    console().print(f"Trained inverse{of}: {folder / MODEL}")
    console().print(f"Use it: phi-sip invert {folder / MODEL} FILE -o STATES", soft_wrap=True)


class ExperimentFile(Callback):
    """Keeps the experiment as it is now, when no other training is in the folder."""

    def __init__(self, experiment: Experiment, folder: Path) -> None:
        self._experiment, self._folder = experiment, folder

    def on_start(self, run: RunRecord) -> None:
        write_experiment(self._experiment, self._folder / EXPERIMENT)


def _begin(experiment: Experiment, folder: Path) -> None:
    """From now on the run can be resumed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_experiment(experiment, folder / EXPERIMENT)
    except OSError as error:
        raise RunFolderError(f"{folder} cannot be written to: {error}. Name another folder.") from error


def _callbacks(folder: Path, tensorboard: bool) -> list[Callback]:
    if not tensorboard:
        return []
    from ..training.tensorboard import TensorBoard

    return [TensorBoard(folder / "tensorboard")]
