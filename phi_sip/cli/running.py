"""What `train` and `resume` share: a run from an experiment to its report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import typer

from ..errors import RunFolderError
from ..experiment import Built, Experiment, build, write_experiment
from ..experiment.building import named_parts
from ..experiment.changes import check_goes_on
from ..experiment.data import files_of
from ..inference import save_inverse
from ..reporting import write_report
from ..training import Callback, RunRecord
from ..training.lock import TENSORBOARD, FolderInUseError, LockedFolder, locked
from ..training.run_folder import EXPERIMENT, is_free
from ..training.run_info import known_of
from .exit_codes import ExitCode
from .output import console

MODEL = "model"


def begin(experiment: Experiment, asked: Path | None, parent: Path, tensorboard: bool, trust: bool) -> None:
    """
    Begins a run in the folder asked for, or in the first of NAME, NAME-2, … that is free.

    Raises:
        RunFolderError: if the folder asked for is not free.
    """
    name = experiment.experiment.name
    if asked is not None:
        _check_free(asked)
    built = build(experiment, trust)
    with claimed_folder(asked, parent, name) as folder:
        console().print(f"Training {name} on {experiment.experiment.framework} in {folder.path}")
        _run(built, folder, tensorboard)


def go_on(experiment: Experiment, folder: Path, tensorboard: bool, trust: bool) -> None:
    """
    Goes on with a run.

    Raises:
        UntrustedError: if its file names code and is not trusted.
        RunFolderError: if another training runs in it.
        ConfigurationError: if the experiment was changed in what the weights depend on.
    """
    named_parts(experiment, trust)  # what is refused leaves the folder as it is
    with locked(folder) as held:
        check_goes_on(folder, known_of(folder).get("made_by") or {}, experiment)
        if files := files_of(experiment.data):
            console().print(f"Data are read from {', '.join(files)}", soft_wrap=True)
        built = build(experiment, trust)
        console().print(f"Going on with {experiment.experiment.name} on {experiment.experiment.framework} in {folder}")
        _run(built, held, tensorboard)


@contextmanager
def claimed_folder(asked: Path | None, parent: Path, name: str) -> Iterator[LockedFolder]:
    """
    Yields a folder that no other run has or takes as long as the block goes on.

    Raises:
        RunFolderError: if the one asked for is there and not empty, or another run has just taken it.
    """
    with ExitStack() as stack:
        yield _claimed(stack, asked, parent, name)


def _claimed(stack: ExitStack, asked: Path | None, parent: Path, name: str) -> LockedFolder:
    if asked is not None:
        folder = stack.enter_context(locked(asked))
        _check_free(asked)
        return folder
    for i in range(1, 10**6):
        candidate = parent / (name if i == 1 else f"{name}-{i}")
        if not is_free(candidate):
            continue
        try:
            with ExitStack() as attempt:
                folder = attempt.enter_context(locked(candidate))
                if is_free(candidate):  # no one else has been here since we looked
                    stack.push(attempt.pop_all())
                    return folder
        except FolderInUseError:
            continue
    raise RunFolderError(f"{parent} holds a million runs named {name}. Name another folder: -o FOLDER")


def _check_free(asked: Path) -> None:
    if not is_free(asked):
        raise RunFolderError(
            f"{asked} is there already. Go on with it: phi-sip resume {asked}, or name another folder."
        )


def _run(built: Built, folder: LockedFolder, tensorboard: bool) -> None:
    """Trains, saves the trained inverse and writes the report."""
    path = folder.path
    record = built.train(folder, [ExperimentFile(built.experiment, path), *_callbacks(path, tensorboard)])
    best = built.restore_best(path)
    built.finish()
    about = (built.net, built.physics, built.network, built.validation)
    save_inverse(path / MODEL, *about, inputs=built.inputs)
    guard = built.fit_guard()
    interval = built.fit_interval(guard)
    if guard is not None or interval is not None:
        save_inverse(path / MODEL, *about, inputs=built.inputs, guard=guard, interval=interval)
    page = write_report([path], path / "report.html")
    console().print(f"Report: {page}")
    of = f", of step {best.step}, the best" if best else ""
    console().print(f"Trained inverse{of}: {path / MODEL}")
    if guard is not None:
        console().print(
            f"Guard: {guard.gain:.0%} of what the network adds to the inverse is kept; its risk less that of the "
            f"inverse is {guard.risk:.3g} ± {guard.risk_error:.2g}",
            soft_wrap=True,
        )
    console().print(f"Use it: phi-sip invert {path / MODEL} FILE -o STATES", soft_wrap=True)
    if record.last_step < built.experiment.training.steps and "data are at their end" in record.info["ended"]:
        raise typer.Exit(ExitCode.FAULT)


class ExperimentFile(Callback):
    """Keeps the experiment as it is now, when no other training is in the folder."""

    def __init__(self, experiment: Experiment, folder: Path) -> None:
        self._experiment, self._folder = experiment, folder

    def on_start(self, run: RunRecord) -> None:
        write_experiment(self._experiment, self._folder / EXPERIMENT)


def _callbacks(folder: Path, tensorboard: bool) -> list[Callback]:
    if not tensorboard:
        return []
    from ..training.tensorboard import TensorBoard

    return [TensorBoard(folder / TENSORBOARD)]
