"""`train`: updates until it is good, late or time, and nothing lost on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..contract.training_state import TrainingState
from ..contract.update import UpdateRequest
from ..data.batches import Batch
from ..errors import ParameterError, UnsupportedError
from ..frameworks import framework_for
from ..interrupts import interrupts_between_steps
from ..inversion.operator import resolve_solver
from ..states import trees
from ..states.checks import check_count
from ..step.prediction import first_prediction, prediction
from ..step.update import sip_update_weights
from ..text.terminal import PlainConsole
from .batches import Data, held_out
from .callbacks import Callback, check_callbacks
from .checkpoints import CheckpointStore
from .files import RunFiles
from .identity import check_plain, identity_of
from .lock import holding
from .progress import progress_on
from .records import RunRecord
from .run_folder import CHECKPOINTS
from .saving import Saving
from .steps import Plan, Steps
from .stopping import StoppingRule, check_quantity
from .validation import Validation


def train(
    net: Any,
    optimizer: Any,
    physics: InvertiblePhysics,
    data: Data,
    *,
    steps: int | None = None,
    stop: Sequence[StoppingRule] = (),
    validation: Any = None,
    validate_every: int | None = None,
    schedule: Any = None,
    folder: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    keep: int | None = None,
    keep_best: str | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
    predict: Callable[[Any], Any] | None = None,
    step_size: float | Tensor = 1.0,
    solver: str | InverseSolver | None = None,
    training: bool | None = None,
    compile: bool | None = None,
    micro_batches: int = 1,
    made_by: Mapping[str, Any] | None = None,
) -> RunRecord:
    """
    Trains a network to invert `physics` by `sip_update_weights`, one batch after the other.

    With `folder` all is kept there: records of every step, samples of the last validation, and checkpoints of weights,
    batch statistics, optimizer and random state. The same call in the same folder goes on from the last good
    checkpoint, and ends with the same weights, bit for bit, as if it had not been interrupted, if `data` gives the same
    for the same step; on JAX processes must also have the same `PYTHONHASHSEED`, as PhiML orders dims by hashes. Ctrl-C
    and SIGTERM act between two steps: the state is saved, then `KeyboardInterrupt` raised.

    The folder and each checkpoint name the run and what it is made by. A run of other physics, another solver, network,
    kind of optimizer or schedule, or another precision, does not go on. What else has changed, such as `steps`, rates
    and rules, holds from then on, and a `TrainingWarning` names it key by key.

    Wherever an error comes from, an update is done and counted or it is not done, and the state after the last one is
    saved, in one attempt.

    Args:
        net: Network, see `sip_update_weights`.
        optimizer: Optimizer of the same framework. Its learning rate may be a schedule of Keras or optax.
        physics: Process that made the observations.
        data: Generator function: `data(step)` yields the batches of this and the following steps, from 1, each a
            `Batch(y_target, x_true)` or y* alone. See `phi_sip.data.by_step`, `scenes` and `stored`.
        steps: Number of steps of the whole run; `None`: until a rule ends it, or the data do.
        stop: Rules that end it earlier: `WallTime`, `Target`, `EarlyStopping`.
        validation: A batch, or a list of batches, that is not trained on, evaluated as in inference.
        validate_every: Steps between validations, default 50; the last step is always validated.
        schedule: PyTorch only: a `torch.optim.lr_scheduler` of the optimizer, stepped once per step.
        folder: Folder of the run.
        checkpoint_every: Steps between checkpoints, default 100; the end is always saved.
        keep: How many checkpoints are kept, default 3.
        keep_best: `"x_l2"` or `"y_l2"`: each validation with the least such error so far is saved, and kept
            besides. See `restore_best`.
        callbacks: Are told what happens, in this order.
        progress: Whether losses are shown: a bar on a terminal, else a line every ten seconds.
        predict: As in `sip_update_weights`.
        step_size: As in `sip_update_weights`.
        solver: As in `sip_update_weights`.
        training: As in `sip_update_weights`.
        compile: As in `sip_update_weights`.
        micro_batches: As in `sip_update_weights`.
        made_by: Plain data that say what else the run is made by, such as a seed or the names of files. They are kept
            in the folder, and compared when the run goes on.

    Returns:
        Records of all steps and validations, those before an interruption included; `info["ended"]` says how it ended.

    Raises:
        ParameterError: if neither `steps` nor `stop` ends the run, a number is out of range, `data` is no generator
            function, a callback has methods that are never called, `made_by` is no plain data, a batch of `validation`
            is empty or has true states of other samples, or an option has no effect: one of the validation
            without `validation`, one of checkpoints without `folder`.
        NonFiniteError: if `validation` holds NaN or infinity.
        RunFolderError: if another training runs in the folder, or it holds a run of something else.
        CheckpointError: if no checkpoint in the folder can be used, the newest is that of another run, or none can be
            written.
        TrainingError: if data, physics, a plugin, a callback or the update failed; `__cause__` is that error, and the
            state after the last good step is saved.
        UnsupportedError: if no plugin knows the network, or a library is missing.

    Warns:
        TrainingWarning: if the data end before all steps are done, or the run goes on with something changed.
    """
    if not isinstance(physics, InvertiblePhysics):
        raise UnsupportedError(f"physics is a {type(physics).__name__}. Give an object such as HeatEquation(1.0, 8.0).")
    batches = held_out(validation)
    counts = {"validate_every": validate_every, "checkpoint_every": checkpoint_every, "keep": keep, "steps": steps}
    for name, count in counts.items():
        if count is not None:
            check_count("train", name, count)
    if keep_best is not None:
        check_quantity("train", "keep_best", keep_best)
    _check_stops(steps, stop)
    _check_folder(folder)
    _check_options(batches, {"validate_every": validate_every}, "validation")
    _check_options(folder, {"checkpoint_every": checkpoint_every, "keep": keep, "keep_best": keep_best}, "folder")
    _check_known(batches, stop, keep_best)
    told = check_callbacks(callbacks)
    kept_with_it = check_plain("train", "made_by", {} if made_by is None else made_by)
    solver = resolve_solver(solver)
    state = training_state(net, optimizer, schedule)
    plan = Plan(steps, stop, validate_every or VALIDATE_EVERY, checkpoint_every or CHECKPOINT_EVERY, keep_best)
    identity = {
        "physics": identity_of(physics),
        "solver": "that of the physics" if solver is None else identity_of(solver),
        "plan": {
            "steps": steps,
            "stop": identity_of(stop),
            "keep_best": keep_best,
            "step_size": identity_of(step_size),
            "micro_batches": micro_batches,
            "training": identity_of(training),
            "predict": identity_of(predict),
            "validation": [trees.describe(batch.y_target) for batch in batches],
        },
        "made_by": kept_with_it,
    }
    with holding(folder) as place, interrupts_between_steps() as check_interrupt:
        path = None if place is None else place.path
        store = None if path is None else CheckpointStore(path / CHECKPOINTS, keep or KEEP)
        update = partial(
            sip_update_weights,
            net,
            optimizer,
            physics,
            predict=predict,
            step_size=step_size,
            solver=solver,
            training=training,
            compile=compile,
            micro_batches=micro_batches,
        )
        evaluate = partial(_evaluate, state, physics, predict)
        return Steps(
            plan,
            state,
            lambda y_target, x_true: update(y_target, x_true=x_true),
            partial(_prepare, state, physics, predict),
            lambda y_target: {"precision": trees.precision_of(y_target)},
            Validation(batches, physics, evaluate, solver) if batches else None,
            None if path is None or store is None else Saving(path, store, state, identity),
            None if path is None else RunFiles(path),
            (*([progress_on(PlainConsole(), steps)] if progress else []), *told),
            check_interrupt,
        ).run(data)


VALIDATE_EVERY, CHECKPOINT_EVERY, KEEP = 50, 100, 3


def _check_options(needed: Any, options: Mapping[str, Any], name: str) -> None:
    """Options that would have no effect."""
    given = [option for option, value in options.items() if value is not None]
    if given and not needed:
        raise ParameterError(f"train: {', '.join(given)} has no effect without {name}. Give {name}=, or leave it out.")


def _check_folder(folder: Any) -> None:
    if folder is not None and (not isinstance(folder, (str, os.PathLike)) or not os.fspath(folder)):
        raise ParameterError(f"train: folder = {folder!r}. Give the path of a folder, or leave it out.")


def _check_stops(steps: int | None, stop: Any) -> None:
    if not isinstance(stop, Sequence) or not all(isinstance(rule, StoppingRule) for rule in stop):
        raise ParameterError(f"train: stop = {stop!r}. Give a list of rules: stop=[WallTime(seconds)].")
    if steps is None and not stop:
        raise ParameterError("train: nothing ends the training. Give steps=, or stop=[WallTime(seconds)].")


def _check_known(validation: Sequence[Batch], stop: Sequence[StoppingRule], keep_best: str | None) -> None:
    for needed in {keep_best, *(rule.needs for rule in stop)} - {None}:
        if not validation:
            raise ParameterError(
                f"train: {needed} of the validation is asked for, but there is none. Give validation=."
            )
        if needed == "x_l2" and any(batch.x_true is None for batch in validation):
            raise ParameterError(
                "train: x_l2 of the validation is not known, as its samples have no x_true. Give them, or use y_l2."
            )


def training_state(net: Any, optimizer: Any, schedule: Any = None) -> TrainingState:
    """
    Returns what saves, restores and evaluates a network, from its framework.

    Raises:
        UnsupportedError: if no plugin knows the network.
    """
    return framework_for(net).training_state(net, optimizer, schedule)


def _evaluate(
    state: TrainingState, physics: InvertiblePhysics, predict: Callable[[Any], Any] | None, y_target: Any
) -> Any:
    """Computes x for observations, as the network is used for inference."""
    with state.evaluating():
        return prediction(state.trainable, physics, y_target, predict)()


def _prepare(
    state: TrainingState, physics: InvertiblePhysics, predict: Callable[[Any], Any] | None, y_target: Any
) -> None:
    """Makes all variables that are made late, so that they can be restored."""
    state.trainable.prepare(first_prediction(state.trainable, UpdateRequest(physics, y_target, predict)))
