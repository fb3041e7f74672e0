"""An update as one compiled function of tensors."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Container, Hashable
from contextlib import suppress
from typing import Any

from phiml import math

from ..compilation import keys
from ..compilation.host_random import without_random_numbers
from ..compilation.inputs import that_remembers_nothing, without_values
from ..compilation.objects import NoKeyError
from ..compilation.updates import Kind, Kinds, Run, kinds_of
from ..contract.trainable import CompilingTrainer, Trainer
from ..errors import PerformanceWarning, SipError, UnsupportedError
from ..frameworks import framework_of
from ..plugins.manager import get_plugin_manager
from ..states import trees
from .sizes import limit_sizes
from .tensors import PARAMETERS, STATES, Results, native_tensors, replace_tensors, with_natives
from .update import SipUpdate, UpdateRequest, update


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
    if trainer.is_traced:
        return update(trainer, request)
    if compile is False or (compile is None and _may_depend_on_more(request)):
        return _step_by_step(trainer, request)
    trainer.prepare(request)
    kinds = kinds_of(trainer.optimizer)
    try:
        key = _key(trainer, request, kinds.logs)
    except NoKeyError as error:
        return _not_compiled(trainer, request, compile, f"it depends on {error}, whose state cannot be compared")
    if key in kinds:
        return _result(kinds.find(key), trainer, request) or _step_by_step(trainer, request)
    return _compiled_anew(kinds, key, trainer, request, compile)


def _compiled_anew(
    kinds: Kinds, key: Kind, trainer: CompilingTrainer, request: UpdateRequest, compile: bool | None
) -> SipUpdate:
    """An update of a kind that has not been compiled."""
    operations = framework_of(trainer.backend).COMPILES_OPERATIONS
    worth_while = operations and kinds.differs_in_sizes_only(key)  # as step by step a new size costs more
    if compile is None and kinds.always_new and not worth_while:
        return _step_by_step(trainer, request)
    lists = keys.lists_in(_code(request), _opaque(trainer))
    run: Run | None = _compile(trainer, request)
    try:
        result = _result(run, trainer, request)
    except Exception as cause:
        if compile and isinstance(cause, SipError):
            raise
        run, result = None, _not_compiled(trainer, request, compile, f"{type(cause).__name__}: {cause}", cause)
    logs = keys.grown(lists)
    with suppress(NoKeyError):  # what was run while it was compiled may have changed what it depends on
        key = _key(trainer, request, {*kinds.logs, *map(id, logs)})
    kinds.keep_kind(key, run, logs, counts=not worth_while)
    if kinds.has_just_become_always_new and not worth_while:
        _warn_of_new_kinds(compile)
    return result or _step_by_step(trainer, request)


def _step_by_step(trainer: Trainer, request: UpdateRequest) -> SipUpdate:
    limit_sizes(trainer.backend, _sizes(request))
    return update(trainer, request)


def _not_compiled(
    trainer: Trainer, request: UpdateRequest, compile: bool | None, why: str, cause: Exception | None = None
) -> SipUpdate:
    """An update that cannot be compiled; refused if that was asked for."""
    what = f"An update with {type(request.physics).__name__} cannot be compiled: {why}"
    if compile:
        raise UnsupportedError(
            f"{what}. Leave out compile=True, or write the physics with tensor operations that depend on nothing but "
            f"their arguments."
        ) from cause
    result = _step_by_step(trainer, request)
    _warn(what)
    return result


def _warn_of_new_kinds(compile: bool | None) -> None:
    why = "as the last ones all differed in more than the values of tensors"
    if compile is None:
        _warn(f"Updates are no longer compiled, {why}")
    else:
        message = f"Each update is compiled anew, {why}. Leave out compile=True to go on step by step where that is so."
        warnings.warn(message, PerformanceWarning, stacklevel=2)


def _warn(what: str) -> None:
    message = f"{what}. Going on step by step, which is slower; compile=False says that this is intended."
    warnings.warn(message, PerformanceWarning, stacklevel=2)


def _may_depend_on_more(request: UpdateRequest) -> bool:
    """Whether code takes part that may depend on more than its arguments, or must run every time."""
    on_host = request.solver is not None and request.solver.on_host
    return request.predict is not None or len(_plugins()) > 1 or on_host


def _plugins() -> list[Any]:
    return list(get_plugin_manager().hook.sip_inverse.get_hookimpls())


def _sizes(request: UpdateRequest) -> Hashable:
    """What tells the sizes of the data of two updates apart."""
    states = (getattr(request, name) for name in STATES)
    leaves = [leaf for tree in states if tree is not None for leaf in trees.leaves(tree)]
    return keys.of_tensors([*leaves, math.wrap(request.step_size)])


def _key(trainer: CompilingTrainer, request: UpdateRequest, logs: Container[int]) -> Kind:
    """All that an update depends on but the tensors of `replace_tensors` and the variables of the trainer."""
    opaque = _opaque(trainer)
    states = tuple(keys.of_state(getattr(request, name)) for name in STATES)
    others = (
        math.get_precision(),
        trainer.signature(),
        *(keys.of_parameters(getattr(request, name), opaque, logs) for name in PARAMETERS),
        keys.of_value((request.predict, [plugin.function for plugin in _plugins()]), opaque, logs),
        request.micro_batches,
    )
    return (*states, keys.of_tensors([math.wrap(request.step_size)])), others


def _code(request: UpdateRequest) -> Any:
    """All that may hold code and state of the user."""
    return request.physics, request.solver, request.predict


def _opaque(trainer: Trainer) -> tuple[Any, Any]:
    return trainer.net, trainer.optimizer


def _compile(trainer: CompilingTrainer, request: UpdateRequest) -> Run:
    """The kind of update that `request` is one of, as a function of native tensors; `None` where it changed nothing."""
    template, results = replace_tensors(without_values, request), Results()

    def step(trainer: Trainer, natives: list[Any]) -> tuple[Any, list[Any]]:
        traced = with_natives(template, natives)
        changes = {name: that_remembers_nothing(getattr(traced, name)) for name in PARAMETERS}
        with without_random_numbers():
            result = update(trainer, dataclasses.replace(traced, **changes))
        return result.applied.native(), results.take_apart(result)

    compiled = trainer.compile(step)

    def run(natives: list[Any]) -> SipUpdate | None:
        applied, natives = compiled(natives)
        if not bool(applied):
            return None
        return dataclasses.replace(results.put_together(natives), applied=math.wrap(True))

    return run


def _result(run: Run | None, trainer: Trainer, request: UpdateRequest) -> SipUpdate | None:
    """What a compiled update did; `None` if there is none, or it changed nothing."""
    if run is None:
        return None
    with math.precision(trees.precision_of(request.y_target)):
        natives = native_tensors(request, trainer.backend)
    result: SipUpdate | None = run(natives)
    return result
