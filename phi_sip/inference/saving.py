"""Writes a trained inverse into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phi.field import Field
from phiml import math

from ..compilation.inputs import batch_of, part_of
from ..contract.inputs import NetworkInput
from ..contract.physics import InvertiblePhysics
from ..data.batches import Batch
from ..descriptions.networks import NetworkSpec
from ..descriptions.to_data import describe
from ..errors import CheckpointError, SipError, UnsupportedError
from ..frameworks import framework_for
from ..inputs import resolve_inputs
from ..risk import Guard, Interval
from ..states import trees
from ..text.printable import sentence
from ..training.batch_physics import check_own_physics
from ..training.checkpoints.manifest import write_manifest
from ..training.run_folder import installed_versions
from .folder import KIND, WITH_INPUTS, WITH_LIMITS, WITHOUT
from .grid import TrainingGrid
from .misfit import SAMPLES, TrainingMisfit
from .replacing import replaced_folder
from .trained import TrainedInverse


def save_inverse(
    folder: str | Path,
    net: Any,
    physics: InvertiblePhysics,
    network: NetworkSpec,
    observations: Any = None,
    *,
    inputs: Sequence[str | NetworkInput] | None = None,
    guard: Guard | None = None,
    interval: Interval | None = None,
) -> Path:
    """
    Saves a trained network and what it inverts; what was in the folder before is replaced when all is written.

    Args:
        folder: Where.
        net: Network, made by `network.build()`.
        physics: Process, made of numbers and registered parts, see `describe`: what is inverted if nothing else is
            said. Where each sample has parameters of its own, `TrainedInverse.predict` takes them.
        network: What the network was made by.
        observations: Some like those that it was trained on, better those of the validation. Those on centered grids
            with other axes, lengths of cells or another boundary will be refused, and those that it explains much worse
            than these warned of; without, anything is inverted, without a word. A `Batch` also says which physics made
            them, if it was not `physics`.
        inputs: What the network was shown in training, see `sip_update_weights`.
        guard: Keeps its states from being worse than those of the inverse, see `fit_guard`.
        interval: How far the true states are from its own, see `fit_interval`.

    Raises:
        ParameterError: if `observations` are of physics of another class or number of samples, or a network cannot be
            shown the parameters of its physics.
        UnsupportedError: if the physics cannot be written as plain data, no plugin knows the network, or its weights
            are of a kind that has no form in a file.
        CheckpointError: if it cannot be written; what was there before is still there.
    """
    folder = Path(folder)
    try:
        framework = framework_for(net)
    except UnsupportedError as error:
        raise UnsupportedError(f"The network cannot be saved. {error}") from error
    batch = observations if isinstance(observations, Batch) else Batch(observations)
    observations, made = batch.y_target, physics if batch.physics is None else batch.physics
    if batch.physics is not None:
        check_own_physics(made, physics, observations, "save_inverse was given")
    is_grid = isinstance(observations, Field) and observations.is_grid and observations.is_centered
    grid = TrainingGrid.of(observations) if is_grid else None
    shown = tuple(quantity.fixed(made) for quantity in resolve_inputs(inputs))
    evaluate = framework.evaluation(net)
    inverse = TrainedInverse(physics, network, None, framework.backend, {}, evaluate, inputs=shown, guard=guard)
    misfit = None if observations is None else _misfit(inverse, made, observations)
    content = {
        "kind": KIND,
        "format": WITH_LIMITS if guard is not None or interval is not None else WITH_INPUTS if shown else WITHOUT,
        "physics": _described(physics),
        "network": network.describe(),
        "inputs": describe(shown),
        "guard": None if guard is None else guard.describe(),
        "interval": None if interval is None else interval.describe(),
        "grid": None if grid is None else grid.describe(),
        "misfit": None if misfit is None else misfit.describe(),
        "versions": installed_versions(),
    }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replaced_folder(folder) as unfinished:
            framework.save_weights(net, unfinished)
            write_manifest(unfinished, 0, framework.name, content)
    except UnsupportedError:
        raise
    except Exception as error:  # frameworks have their own for a full disk
        raise CheckpointError(
            f"The trained inverse cannot be written to {folder}: {type(error).__name__}: {sentence(error)}"
        ) from error
    return folder


def _described(physics: InvertiblePhysics) -> Any:
    """Returns the physics as plain data."""
    try:
        return describe(physics)
    except UnsupportedError as error:
        if not batch_of(physics):
            raise
        raise UnsupportedError(
            f"{error} Give save_inverse the physics of one sample, made of numbers, and those of all by "
            f"observations=Batch(y_target, x_true, physics)."
        ) from error


def _misfit(inverse: TrainedInverse, physics: InvertiblePhysics, observations: Any) -> TrainingMisfit | None:
    """Returns the misfit of the network on some observations; `None` if it cannot be evaluated on them as they are."""
    place = dict.fromkeys(trees.leaves(observations)[0].shape.batch.names[:1], slice(0, SAMPLES))
    some = trees.tree_map(lambda u: part_of(u, place), observations)
    physics = part_of(physics, place)
    try:
        x = inverse.predict(some, physics)
        with inverse.backend, math.precision(trees.precision_of(some)):
            return TrainingMisfit.of(trees.subtract(physics.forward(x), trees.to_backend(some, inverse.backend)))
    except SipError:
        return None
