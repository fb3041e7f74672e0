"""`train`: updates until it is good, late or time, and nothing lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from phiml.math import Tensor

from ..checkpoints import CheckpointStore
from ..checks import check_count
from ..data.batches import Batch, as_batch
from ..errors import ParameterError, UnsupportedError
from ..interrupts import interrupts_between_steps
from ..physics.base import InvertiblePhysics
from ..plugins import get_plugin_manager
from ..solvers.base import InverseSolver
from ..terminal import PlainConsole
from ..update import sip_update_weights
from .callbacks import Callback
from .files import RunFiles
from .progress import progress_on
from .records import RunRecord
from .run_folder import CHECKPOINTS, locked
from .saving import Saving
from .states.base import TrainingState
from .steps import Data, Plan, Steps
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
    validate_every: int = 50,
    schedule: Any = None,
    folder: str | Path | None = None,
    checkpoint_every: int = 100,
    keep: int = 3,
    keep_best: str | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
    predict: Callable[[Any], Any] | None = None,
    step_size: float | Tensor = 1.0,
    solver: str | InverseSolver | None = None,
    training: bool | None = None,
    compile: bool | None = None,
    micro_batches: int = 1,
) -> RunRecord:
    """
    Trains a network to invert `physics` by `sip_update_weights`, one batch after the other.

    With `folder` all is kept there: records of every step, samples of the last validation, and checkpoints of weights,
    batch statistics, optimizer and random state. The same call in the same folder goes on from the last good
    checkpoint, and ends with the same weights, bit for bit, as if it had not been interrupted, if `data` gives the same
    for the same step; on JAX processes must also have the same `PYTHONHASHSEED`, as PhiML orders dims by hashes. Ctrl-C
    and SIGTERM act between two steps: the state is saved, then `KeyboardInterrupt` raised.

    Args:
        net: Network, see `sip_update_weights`.
        optimizer: Optimizer of the same framework. Its learning rate may be a schedule of Keras or optax.
        physics: Process that made the observations.
        data: Generator function: `data(step)` yields the batches of this and the following steps, from 1, each a
            `Batch(y_target, x_true)` or y* alone. See `phi_sip.data.by_step`, `scenes` and `stored`.
        steps: Number of steps of the whole run; `None`: until a rule ends it, or the data do.
        stop: Rules that end it earlier: `WallTime`, `Target`, `EarlyStopping`.
        validation: A batch, or a list of batches, that is not trained on, evaluated as in inference.
        validate_every: Steps between validations; the last step is always validated.
        schedule: PyTorch only: a `torch.optim.lr_scheduler` of the optimizer, stepped once per step.
        folder: Folder of the run.
        checkpoint_every: Steps between checkpoints; the end is always saved.
        keep: How many checkpoints are kept.
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

    Returns:
        Records of all steps and validations, those before an interruption included.

    Raises:
        ParameterError: if neither `steps` nor `stop` ends the run, a number is out of range, or a validation error is
            asked for that the validation does not know.
        RunFolderError: if another training runs in the folder, or it holds a run of something else.
        CheckpointError: if no checkpoint in the folder can be used, or none can be written.
        TrainingError: if data, physics, a plugin, a callback or the update failed; `__cause__` is that error, and the
            state after the last good step is saved.
        UnsupportedError: if no plugin knows the network, or a library is missing.
    """
    check_count("train", "validate_every", validate_every)
    check_count("train", "checkpoint_every", checkpoint_every)
    check_count("train", "keep", keep)
    if steps is None and not stop:
        raise ParameterError("train: nothing ends the training. Give steps=, or stop=[WallTime(seconds)].")
    if steps is not None:
        check_count("train", "steps", steps)
    held_out = [as_batch(item) for item in (validation if isinstance(validation, list) else [validation])]
    held_out = [] if validation is None else held_out
    _check_known(held_out, stop, keep_best)
    state = training_state(net, optimizer, schedule)
    place = None if folder is None else Path(folder)
    with locked(place) if place is not None else nullcontext(), interrupts_between_steps() as check_interrupt:
        saving = None if place is None else Saving(place, CheckpointStore(place / CHECKPOINTS, keep), state, physics)
        files = [] if place is None else [RunFiles(place)]
        shown = [progress_on(PlainConsole(), steps)] if progress else []
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
        evaluate = partial(state.predict, physics, predict=predict)
        return Steps(
            Plan(steps, stop, validate_every, checkpoint_every, keep_best),
            state,
            lambda y_target, x_true: update(y_target, x_true=x_true),
            partial(state.prepare, physics, predict=predict),
            Validation(held_out, physics, evaluate, solver) if held_out else None,
            saving,
            (*files, *shown, *callbacks),
            check_interrupt,
        ).run(data)


def _check_known(validation: Sequence[Batch], stop: Sequence[StoppingRule], keep_best: str | None) -> None:
    if keep_best is not None:
        check_quantity("train", "keep_best", keep_best)
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
    What can save, restore and evaluate a network, from the plugin of its framework.

    Raises:
        UnsupportedError: if there is none.
    """
    state: TrainingState | None = get_plugin_manager().first_result(
        "sip_training_state", net=net, optimizer=optimizer, schedule=schedule
    )
    if state is None:
        raise UnsupportedError(
            f"No plugin can save a {type(net).__module__}.{type(net).__qualname__}. Use a Keras model, a "
            f"torch.nn.Module or a JAX network of phiml.nn, or register a plugin that implements `sip_training_state`."
        )
    return state
