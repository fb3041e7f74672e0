"""What is computed for a request, as one compiled function of tensors, where that is possible and pays."""

from __future__ import annotations

import warnings
from contextlib import suppress
from functools import partial
from typing import TypeVar

from ..compilation import keys
from ..compilation.closures import looks_at_values
from ..compilation.inputs import closures_in
from ..compilation.objects import NoKeyError
from ..contract.trainable import CompilingTrainable, Trainable
from ..contract.update import UpdateRequest
from ..errors import PerformanceWarning, SipError, UnsupportedError
from ..frameworks import operations_of
from .cache import Kind, UpdateCache, Way, cache_of
from .compiled_function import CompiledComputation
from .computation import Computation, Result
from .eager import step_by_step
from .kind import code_in, kind_of, may_depend_on_more, opaque_in
from .prediction import first_prediction
from .tensors import PARAMETERS

R = TypeVar("R", bound=Result)


def computed(computation: Computation[R], trainable: Trainable, request: UpdateRequest) -> R:
    """
    Computes something for a request, compiled if `request.compile` says so, or if it is `None` and that pays.

    Where something is not finite, the compiled function changes nothing, and the computation runs step by step to say
    what it is.

    Args:
        computation: What is computed.
        trainable: Network and optimizer.
        request: What is asked for.

    Raises:
        UnsupportedError: if `request.compile` is `True`, but it cannot be compiled.
    """
    if not isinstance(trainable, CompilingTrainable) or trainable.is_traced:
        return computation(trainable, request)
    if request.compile is False or (request.compile is None and may_depend_on_more(request)):
        return step_by_step(computation, trainable, request)
    trainable.prepare(first_prediction(trainable, request))
    cache = cache_of(trainable.optimizer)
    try:
        kind = kind_of(computation, trainable, request, cache.logs)
    except NoKeyError as error:
        return _not_compiled(computation, trainable, request, _NO_KEY.format(error))
    way: Way | None = cache.find(kind)
    if way is None:
        return _of_new_kind(cache, kind, computation, trainable, request)
    result: R = way(trainable, request)
    return result


def _of_new_kind(
    cache: UpdateCache, kind: Kind, computation: Computation[R], trainable: CompilingTrainable, request: UpdateRequest
) -> R:
    """Compiles a computation, runs it and keeps it, unless compiling no longer pays."""
    by_operation = operations_of(trainable.backend).COMPILES_OPERATIONS
    pays = by_operation and cache.differs_in_sizes_only(kind)  # as step by step a new size costs more
    if request.compile is None and cache.always_new and not pays:
        return step_by_step(computation, trainable, request)
    but_constants: Kind | None = kind_of(computation, trainable, request, cache.logs, constants=False)
    if but_constants == kind:
        but_constants = None
    elif request.compile is None and cache.differs_in_constants_only(but_constants):
        _warn(_NEW_CONSTANTS.format(computation.what, type(request.physics).__name__))
        return step_by_step(computation, trainable, request)
    try:
        lists = keys.lists_in(code_in(request), opaque_in(trainable))
    except NoKeyError as error:
        return _not_compiled(computation, trainable, request, _NO_KEY.format(error))
    compiled = CompiledComputation(computation, trainable, request)
    way: Way = compiled
    try:
        result = compiled.attempt(trainable, request)
    except Exception as cause:
        if _look_at_values(request):
            return computed(computation, trainable, request)
        if request.compile and isinstance(cause, SipError):
            raise
        way = partial(step_by_step, computation)
        result = _not_compiled(computation, trainable, request, f"{type(cause).__name__}: {cause}", cause)
    logs = keys.grown(lists)
    with suppress(NoKeyError):  # what was run while it was compiled may have changed what it depends on
        kind = kind_of(computation, trainable, request, {*cache.logs, *map(id, logs)})
    cache.keep_kind(kind, way, logs, counts=not pays, but_constants=but_constants)
    if cache.has_just_become_always_new and not pays:
        _warn_of_new_kinds(request.compile)
    return step_by_step(computation, trainable, request) if result is None else result


def _look_at_values(request: UpdateRequest) -> bool:
    """
    Notes that functions have to know the tensors that they keep, so that these become part of what is compiled.

    Returns:
        Whether there are such functions. They may be why the computation could not be compiled.
    """
    functions = [function for name in PARAMETERS for function in closures_in(getattr(request, name))]
    for function in functions:
        looks_at_values(function)
    return bool(functions)


def _not_compiled(
    computation: Computation[R],
    trainable: CompilingTrainable,
    request: UpdateRequest,
    why: str,
    cause: Exception | None = None,
) -> R:
    """Computes step by step what cannot be compiled; refuses it if `compile=True` was given."""
    what = f"{computation.what} with {type(request.physics).__name__} cannot be compiled: {why}"
    if request.compile:
        raise UnsupportedError(
            f"{what}. Leave out compile=True, or write the physics with tensor operations that depend on nothing but "
            f"their arguments."
        ) from cause
    result = step_by_step(computation, trainable, request)
    _warn(what)
    return result


_NO_KEY = "it depends on {}, whose state cannot be compared"
_NEW_CONSTANTS = (
    "{} with {} is not compiled, as it differs from others in tensors that decide how to compute, such as a "
    "diffusivity by which the modes are chosen in which noise is measured: give noise_std"
)


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
