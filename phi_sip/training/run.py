"""`train`: updates until it is good, late or time, and nothing lost on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phiml.math import Tensor

from ..contract.inputs import NetworkInput
from ..contract.physics import InvertiblePhysics
from ..contract.solver import InverseSolver
from ..contract.target import TrainingTarget
from ..errors import ParameterError, UnsupportedError
from ..inputs import Observation, resolve_inputs
from ..interrupts import interrupts_between_steps
from ..inversion.operator import resolve_solver
from ..states import trees
from ..states.checks import check_clip_norm
from ..step.predict_function import check_predict
from ..targets import LocalInverse, resolve_target
from ..teacher import Teacher
from ..text.terminal import PlainConsole
from .batch_physics import PhysicsBatch
from .batches import Data, held_out
from .callbacks import Callback, check_callbacks
from .checkpointer import Checkpointer
from .checkpoints import CheckpointStore
from .files import RunFiles
from .identity import identity_of
from .listeners import Listeners
from .lock import CHECKPOINTS, holding
from .loop import TrainingLoop
from .plain_data import check_plain
from .plan import Plan, plan_of
from .progress import progress_on
from .records import RISK, RunRecord
from .resumption import Resumption
from .state import training_state
from .stopping import StoppingRule
from .task import TrainingTask
from .validation import Validation
from .validation_risk import ValidationRisk
from .whole_run import train_to_end


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
    predict: Callable[..., Any] | None = None,
    step_size: float | Tensor = 1.0,
    solver: str | InverseSolver | None = None,
    training: bool | None = None,
    compile: bool | None = None,
    micro_batches: int = 1,
    clip_norm: float | None = None,
    inputs: Sequence[str | NetworkInput] | None = None,
    targets: str | TrainingTarget | None = None,
    teacher: Teacher | None = None,
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
        physics: Process that made the observations of batches that do not say theirs.
        data: Generator function: `data(step)` yields the batches of this and the following steps, from 1, each a
            `Batch(y_target, x_true)` or y* alone. `Batch(y_target, x_true, physics)` says with which parameters it was
            made, where they are others than those of `physics`: training and validation then use its physics, of the
            same class. See `phi_sip.data.by_step`, `scenes` and `stored`.
        steps: Number of steps of the whole run; `None`: until a rule ends it, or the data do.
        stop: Rules that end it earlier: `WallTime`, `Target`, `EarlyStopping`.
        validation: A batch, or a list of batches, that is not trained on, evaluated as in inference.
        validate_every: Steps between validations, default 50; the last step is always validated.
        schedule: PyTorch only: a `torch.optim.lr_scheduler` of the optimizer, stepped once per step.
        folder: Folder of the run.
        checkpoint_every: Steps between checkpoints, default 100; the end is always saved.
        keep: How many checkpoints are kept, default 3.
        keep_best: `"x_l2"`, `"y_l2"`, or `"risk"`, the error in x as it is estimated from observations alone, see
            `RiskEstimate`: each validation with the least such error so far is saved, and kept besides. See
            `restore_best`.
        callbacks: Are told what happens, in this order.
        progress: Whether losses are shown: a bar on a terminal, else a line every ten seconds.
        predict: As in `sip_update_weights`.
        step_size: As in `sip_update_weights`.
        solver: As in `sip_update_weights`.
        training: As in `sip_update_weights`.
        compile: As in `sip_update_weights`.
        micro_batches: As in `sip_update_weights`.
        clip_norm: As in `sip_update_weights`.
        inputs: As in `sip_update_weights`. Call `start_from_estimate` before a new run with `"estimate"`.
        targets: As in `sip_update_weights`.
        teacher: As in `sip_update_weights`; it is kept in checkpoints. Validations are of its averaged weights, which
            the network gets by `teacher.take_over()`.
        made_by: Plain data that say what else the run is made by, such as a seed or the names of files. They are kept
            in the folder, and compared when the run goes on.

    Returns:
        Records of all steps and validations, those before an interruption included; `info["ended"]` says how it ended.

    Raises:
        ParameterError: if neither `steps` nor `stop` ends the run, a number is out of range, `data` is no generator
            function, a callback has methods that are never called, `made_by` is no plain data, `teacher` is that of
            another network, a batch of `validation` is empty or has true states of other samples, `"risk"` is asked for
            where σ of the noise is not known, or an option has no effect: one of the validation without `validation`,
            one of checkpoints without `folder`.
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
    batches = held_out(validation, physics)
    plan = plan_of(
        steps,
        stop,
        folder,
        batches,
        validate_every=validate_every,
        checkpoint_every=checkpoint_every,
        keep=keep,
        keep_best=keep_best,
    )
    told = check_callbacks(callbacks)
    facts = check_plain("train", "made_by", {} if made_by is None else made_by)
    options = {"step_size": step_size, "training": training, "compile": compile, "micro_batches": micro_batches}
    check_clip_norm("train", clip_norm)
    options |= {"clip_norm": clip_norm, "targets": resolve_target(targets)}
    if teacher is not None:
        teacher.check(net)
    solver, seen = resolve_solver(solver), resolve_inputs(inputs)
    check_predict(predict)
    if predict is not None and seen:
        raise ParameterError("train: inputs has no effect with predict=...: leave out one of them.")
    task = TrainingTask(training_state(net, optimizer, schedule), physics, predict, solver, options, seen, teacher)
    identity = _identity(task, plan, batches, facts)
    backend = task.state.trainable.backend
    risk = ValidationRisk(batches, task.evaluation, backend) if RISK in plan.needs else None
    with holding(folder) as place, interrupts_between_steps() as check_interrupt:
        checkpointer = resumption = files = None
        if place is not None:
            store = CheckpointStore(place.path / CHECKPOINTS, plan.keep)
            checkpointer = Checkpointer(place.path, store, task.state, teacher)
            resumption = Resumption(place.path, store, task.state, identity, teacher)
            files = RunFiles(place.path)
        shown = (progress_on(PlainConsole(), steps),) if progress else ()
        validated = Validation(batches, physics, task.evaluation, solver, risk) if batches else None
        listeners = Listeners(files, (*shown, *told))
        loop = TrainingLoop(plan, task, validated, checkpointer, listeners, check_interrupt)
        return train_to_end(loop, resumption, data)


def _identity(
    task: TrainingTask, plan: Plan, validation: Sequence[PhysicsBatch], made_by: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what a run is made by, as plain data, as far as it is known before its first batch."""
    return {
        "physics": identity_of(task.physics),
        "inputs": identity_of(task.inputs if task.inputs != (Observation(),) else ()) or "the observation",
        "solver": "that of the physics" if task.solver is None else identity_of(task.solver),
        "plan": {
            "steps": plan.steps,
            "stop": identity_of(plan.stop),
            "keep_best": plan.keep_best,
            "step_size": identity_of(task.options["step_size"]),
            "micro_batches": task.options["micro_batches"],
            "clip_norm": task.options["clip_norm"],
            "training": identity_of(task.options["training"]),
            "predict": identity_of(task.predict),
            "targets": identity_of(task.options["targets"] or LocalInverse()),
            "teacher": None if task.teacher is None else {"decay": task.teacher.decay},
            "validation": [_validated(batch, task.physics) for batch in validation],
        },
        "made_by": made_by,
    }


def _validated(batch: PhysicsBatch, physics: InvertiblePhysics) -> Any:
    """Returns what a batch of validation is: its dims, and its physics where that is not that of the run."""
    dims = trees.describe(batch.y_target)
    return dims if batch.physics is physics else {"y_target": dims, "physics": identity_of(batch.physics)}
