"""The optimizer of an experiment, made by its framework."""

from __future__ import annotations

from typing import Any

from ..contract.framework import Named, TrainingFramework
from .arguments import check_said_here
from .specification import Optimizer

# Arguments that are not those of `[optimizer]`: whatever a framework calls them, they are said in one place only.
OF_OPTIMIZER = {
    "lr": "the learning rate is optimizer.learning_rate, or that of optimizer.schedule",
    "learning_rate": "the learning rate is optimizer.learning_rate, or that of optimizer.schedule",
    "params": "the weights are those of [network]",
}
OF_SCHEDULE = {"optimizer": "it changes the rate of [optimizer]"}


def made_by_name(framework: TrainingFramework, net: Any, spec: Optimizer) -> tuple[Any, Any]:
    """
    Makes the optimizer of `[optimizer]`, and what `train` takes as `schedule`.

    Raises:
        UnknownNameError: if the framework has no such optimizer or schedule.
        ParameterError: if the arguments do not fit, or the experiment says them elsewhere.
    """
    check_said_here("optimizer.arguments", spec.arguments, OF_OPTIMIZER)
    schedule = None
    if spec.schedule is not None:
        check_said_here("optimizer.schedule.arguments", spec.schedule.arguments, OF_SCHEDULE)
        schedule = Named(spec.schedule.name, spec.schedule.arguments)
    return framework.optimizer(net, Named(spec.name, spec.arguments), spec.learning_rate, schedule)
