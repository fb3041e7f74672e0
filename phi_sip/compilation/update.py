"""An update as one compiled function of tensors."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from typing import Any

from phiml import math

from .. import trees
from ..errors import PerformanceWarning, SipError, UnsupportedError
from ..plugins import get_plugin_manager
from ..trainers.base import CompilingTrainer, Trainer
from ..update import SipUpdate, UpdateRequest, update
from . import signature
from .kinds import Run, kinds_of
from .tensors import PARAMETERS, STATES, Results, native_tensors, replace_tensors, with_natives, without_values


def compiled_update(trainer: CompilingTrainer, request: UpdateRequest, compile: bool | None) -> SipUpdate:
    """
    `update`, compiled if that is asked for, or `None` and worth while.

    Where something is not finite, what is compiled changes nothing, and `update` then says what it is.

    Args:
        trainer: Network and optimizer, of a framework that compiles.
        request: What to do.
        compile: See `sip_update_weights`.

    Raises:
        UnsupportedError: if it was asked for but cannot be compiled.
    """
    if trainer.is_traced or compile is False or (compile is None and _may_depend_on_more(request)):
        return update(trainer, request)
    trainer.prepare(request)
    kinds, key = kinds_of(trainer.optimizer), (trainer.signature(), _signature(request))
    if key in kinds:
        return _result(kinds.find(key), trainer, request)
    if compile is None and kinds.always_new:
        return update(trainer, request)
    run: Run | None = _compile(trainer, request)
    try:
        result = _result(run, trainer, request)
    except SipError:
        raise
    except Exception as cause:
        what = f"An update with {type(request.physics).__name__} cannot be compiled: {type(cause).__name__}: {cause}"
        if compile:
            raise UnsupportedError(
                f"{what}. Leave out compile=True, or do not look at values in the physics."
            ) from cause
        run, result = None, update(trainer, request)
        _warn(what)
    kinds.keep(key, run)
    if compile is None and kinds.always_new:
        _warn("Updates are no longer compiled, as the last ones all differed in more than the values of tensors")
    return result


def _warn(what: str) -> None:
    message = f"{what}. Going on step by step, which is slower; compile=False says that this is intended."
    warnings.warn(message, PerformanceWarning, stacklevel=2)


def _may_depend_on_more(request: UpdateRequest) -> bool:
    """Whether code takes part that may depend on more than its arguments, or must run every time."""
    plugins = get_plugin_manager().hook.sip_inverse.get_hookimpls()
    on_host = request.solver is not None and request.solver.on_host
    return request.predict is not None or len(plugins) > 1 or on_host


def _signature(request: UpdateRequest) -> Hashable:
    return (
        math.get_precision(),
        *(signature.of_parameters(getattr(request, name)) for name in PARAMETERS),
        *(signature.of_state(getattr(request, name)) for name in STATES),
        *signature.of_tensors([math.wrap(request.step_size)]),
        signature.of_function(request.predict),
        request.micro_batches,
    )


def _compile(trainer: CompilingTrainer, request: UpdateRequest) -> Run:
    """The kind of update that `request` is one of, as a function of native tensors; `None` where it changed nothing."""
    template, results = replace_tensors(without_values, request), Results()

    def step(trainer: Trainer, natives: list[Any]) -> tuple[Any, list[Any]]:
        result = update(trainer, with_natives(template, natives))
        return result.applied.native(), results.take_apart(result)

    compiled = trainer.compile(step)

    def run(natives: list[Any]) -> SipUpdate | None:
        applied, natives = compiled(natives)
        return results.put_together(natives) if bool(applied) else None

    return run


def _result(run: Run | None, trainer: Trainer, request: UpdateRequest) -> SipUpdate:
    with math.precision(trees.precision_of(request.y_target)):
        natives = native_tensors(request, trainer.backend) if run else []
    return (run and run(natives)) or update(trainer, request)
