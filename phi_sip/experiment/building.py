"""From an experiment to what trains."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phiml import math
from phiml.backend import set_global_default_backend
from phiml.math import Shape

from ..compilation.inputs import batch_of, part_of
from ..contract.inputs import NetworkInput
from ..contract.physics import InvertiblePhysics
from ..contract.target import TrainingTarget
from ..data import Batch
from ..descriptions.from_data import construct
from ..descriptions.networks import NetworkSpec
from ..errors import UnsupportedError
from ..frameworks import training_framework
from ..inputs import resolve_inputs
from ..plugins.references import Untrusted, trusted
from ..risk import Guard, Interval
from ..states import trees
from ..step.guard import check_guard, fit_guard
from ..step.interval import check_interval, fit_interval
from ..step.start import start_from_estimate
from ..targets import LocalInverse, resolve_target
from ..teacher import Teacher
from ..training import (
    Callback,
    EarlyStopping,
    RunRecord,
    StoppingRule,
    Target,
    ValidationRecord,
    WallTime,
    restore_best,
    train,
)
from ..training.batches import Data as DataFunction
from .changes import made_by
from .data import Source, data_source
from .optimizer import made_by_name
from .specification import Experiment, Stop

REMEDY = "say so: phi-sip resume RUN --trust, phi-sip train FILE --trust, or build(experiment, trust=True)"


@dataclass(frozen=True)
class Built:
    """
    An experiment, ready to run, on its framework as the default backend.

    Attributes:
        experiment: What it was built from.
        physics, network, net, optimizer, schedule, data, validation, inputs, targets, teacher: Its parts.
    """

    experiment: Experiment
    physics: InvertiblePhysics
    network: NetworkSpec
    net: Any
    optimizer: Any
    schedule: Any
    data: DataFunction
    validation: Batch
    inputs: tuple[NetworkInput, ...] | None
    targets: TrainingTarget | None
    teacher: Teacher | None

    def train(
        self, folder: str | os.PathLike[str] | None, callbacks: Sequence[Callback] = (), progress: bool = True
    ) -> RunRecord:
        """Runs it, or goes on with it; see `phi_sip.train`. Without a folder nothing is kept."""
        plan = self.experiment.training
        kept: dict[str, Any] = {
            "checkpoint_every": plan.checkpoint_every,
            "keep": plan.keep,
            "keep_best": plan.keep_best,
        }
        with math.precision(self.experiment.experiment.precision):
            return train(
                self.net,
                self.optimizer,
                self.physics,
                self.data,
                steps=plan.steps,
                stop=stopping_rules(plan.stop),
                validation=self.validation,
                validate_every=plan.validate_every,
                schedule=self.schedule,
                folder=folder,
                **({} if folder is None else kept),
                callbacks=callbacks,
                progress=progress,
                step_size=plan.step_size,
                solver=plan.solver,
                micro_batches=plan.micro_batches,
                clip_norm=plan.clip_norm,
                inputs=self.inputs,
                targets=self.targets,
                teacher=self.teacher,
                made_by=made_by(self.experiment),
            )

    def fit_guard(self) -> Guard | None:
        """Fits the guard to the validation samples, if there is to be one."""
        if not self.experiment.training.guard:
            return None
        with math.precision(self.experiment.experiment.precision):
            return fit_guard(self.net, *self._validated, inputs=self.inputs)

    def fit_interval(self, guard: Guard | None) -> Interval | None:
        """Fits the interval to the validation samples, if there is to be one."""
        if not self.experiment.training.interval:
            return None
        with math.precision(self.experiment.experiment.precision):
            return fit_interval(self.net, *self._validated, inputs=self.inputs, guard=guard)

    @property
    def _validated(self) -> tuple[InvertiblePhysics, Any]:
        """The observations of the validation, and the physics that made them."""
        return _physics_of(self.validation, self.physics), self.validation.y_target

    def restore_best(self, folder: Path) -> ValidationRecord | None:
        """Goes back to the best state of the run, if one is kept."""
        quantity = self.experiment.training.keep_best
        if not quantity:
            return None
        return restore_best(folder, self.net, self.optimizer, quantity, self.schedule, self.teacher)

    def finish(self) -> None:
        """Gives the network the weights that the trained inverse has: the averaged ones, if there is a teacher."""
        if self.teacher is not None:
            self.teacher.take_over()


def build(experiment: Experiment, trust: bool = False) -> Built:
    """
    Makes all parts; imports the framework and makes it the default backend of PhiML.

    Args:
        experiment: Which.
        trust: Whether data and networks `module:function` that its file names may be imported and called. Those that
            the caller has put into it himself always may.

    Raises:
        UntrustedError: if its file names code and is not trusted; nothing was imported or called.
        UnknownNameError: if a name is not known.
        ParameterError: if arguments do not fit, or are out of range.
        UnsupportedError: if the function of the network makes none of the framework.
    """
    general = experiment.experiment
    framework = training_framework(general.framework)
    set_global_default_backend(framework.backend)
    network, source = named_parts(experiment, trust)
    physics = construct(experiment.physics.model_dump())
    framework.seed(general.seed)
    net = network.build()
    if not framework.is_network(net):
        raise UnsupportedError(
            f"Network '{network.name}' made a {type(net).__name__}, which is no network of {general.framework}. Return "
            f"one, or set experiment.framework to the one that it is of."
        )
    optimizer, schedule = made_by_name(framework, net, experiment.optimizer)
    with math.precision(general.precision):
        data, validation = source(physics, general.seed)
        made, observed = _physics_of(validation, physics), validation.y_target
        if experiment.training.guard:
            check_guard(made, observed)
    inputs = resolve_inputs([construct(item) for item in experiment.network.inputs])
    named = experiment.training.targets
    targets = None if named == LocalInverse.name else resolve_target(construct(named))
    as_it_is = inputs == resolve_inputs(["y"])
    if any(quantity.is_estimate for quantity in inputs):
        with math.precision(general.precision):
            start_from_estimate(net, *_first_sample(made, observed), inputs=inputs)
    if experiment.training.interval:
        with math.precision(general.precision):
            check_interval(net, *_first_sample(made, observed), None if as_it_is else inputs)
    return Built(
        experiment,
        physics,
        network,
        net,
        optimizer,
        schedule,
        data,
        validation,
        None if as_it_is else inputs,
        targets,
        Teacher(net, average.decay) if (average := experiment.training.teacher) else None,
    )


def _physics_of(batch: Batch, physics: InvertiblePhysics) -> InvertiblePhysics:
    """Returns the physics that made a batch; by default that of the experiment."""
    return physics if batch.physics is None else batch.physics


def _first_sample(physics: InvertiblePhysics, y_target: Any) -> tuple[InvertiblePhysics, Any]:
    """Returns one observation of a batch, and its physics."""

    def place(batch: Shape) -> dict[str, slice]:
        return dict.fromkeys(batch.names, slice(0, 1))

    first = trees.tree_map(lambda u: u[place(u.shape.batch)], y_target)
    return part_of(physics, place(batch_of(physics))), first


def named_parts(experiment: Experiment, trust: bool) -> tuple[NetworkSpec, Source]:
    """
    Finds the functions of network and data, and calls none of them.

    Raises:
        UntrustedError, UnknownNameError, ParameterError: as `build`.
    """
    resolve = trusted if trust else Untrusted("The experiment file", REMEDY, experiment.of_file)
    network = NetworkSpec(experiment.network.name, experiment.network.arguments, resolve)
    return network, data_source(experiment.data, resolve)


def stopping_rules(stop: Stop) -> list[StoppingRule]:
    """Returns the rules of `[training.stop]`."""
    rules: list[StoppingRule] = [
        Target(quantity, value) for quantity, value in (("x_l2", stop.x_l2), ("y_l2", stop.y_l2)) if value is not None
    ]
    if stop.seconds is not None:
        rules.append(WallTime(stop.seconds))
    if stop.patience is not None:
        rules.append(EarlyStopping(stop.patience_of or "y_l2", patience=stop.patience))
    return rules
