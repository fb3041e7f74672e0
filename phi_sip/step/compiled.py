"""An update as one compiled function of tensors, where that is possible and pays."""

from __future__ import annotations

import warnings
from contextlib import suppress

from ..compilation import keys
from ..compilation.objects import NoKeyError
from ..contract.trainable import CompilingTrainable
from ..contract.update import SipUpdate, UpdateRequest
from ..errors import PerformanceWarning, SipError, UnsupportedError
from ..frameworks import operations_of
from .cache import Kind, UpdateCache, Way, cache_of
from .compiled_function import CompiledUpdate
from .eager import sip_update, step_by_step
from .kind import code_in, kind_of, may_depend_on_more, opaque_in
from .prediction import first_prediction


def compiled_update(trainable: CompilingTrainable, request: UpdateRequest) -> SipUpdate:
    """
    Makes an update, compiled if `request.compile` says so, or if it is `None` and that pays.

    Where something is not finite, the compiled function changes nothing, and the update is made step by step to say
    what it is.

    Args:
        trainable: Network and optimizer, of a framework that compiles.
        request: What is asked for.

    Raises:
        UnsupportedError: if `request.compile` is `True`, but the update cannot be compiled.
    """
    if trainable.is_traced:
        return sip_update(trainable, request)
    if request.compile is False or (request.compile is None and may_depend_on_more(request)):
        return step_by_step(trainable, request)
    trainable.prepare(first_prediction(trainable, request))
    cache = cache_of(trainable.optimizer)
    try:
        kind = kind_of(trainable, request, cache.logs)
    except NoKeyError as error:
        return _not_compiled(trainable, request, f"it depends on {error}, whose state cannot be compared")
    way = cache.find(kind)
    return _of_new_kind(cache, kind, trainable, request) if way is None else way(trainable, request)


def _of_new_kind(cache: UpdateCache, kind: Kind, trainable: CompilingTrainable, request: UpdateRequest) -> SipUpdate:
    """Compiles an update, makes it and keeps it, unless compiling no longer pays."""
    by_operation = operations_of(trainable.backend).COMPILES_OPERATIONS
    pays = by_operation and cache.differs_in_sizes_only(kind)  # as step by step a new size costs more
    if request.compile is None and cache.always_new and not pays:
        return step_by_step(trainable, request)
    lists = keys.lists_in(code_in(request), opaque_in(trainable))
    compiled = CompiledUpdate(trainable, request)
    way: Way = compiled
    try:
        update = compiled.attempt(trainable, request)
    except Exception as cause:
        if request.compile and isinstance(cause, SipError):
            raise
        way = step_by_step
        update = _not_compiled(trainable, request, f"{type(cause).__name__}: {cause}", cause)
    logs = keys.grown(lists)
    with suppress(NoKeyError):  # what was run while it was compiled may have changed what it depends on
        kind = kind_of(trainable, request, {*cache.logs, *map(id, logs)})
    cache.keep_kind(kind, way, logs, counts=not pays)
    if cache.has_just_become_always_new and not pays:
        _warn_of_new_kinds(request.compile)
    return step_by_step(trainable, request) if update is None else update


def _not_compiled(
    trainable: CompilingTrainable, request: UpdateRequest, why: str, cause: Exception | None = None
) -> SipUpdate:
    """Makes an update that cannot be compiled step by step; refuses it if `compile=True` was given."""
    what = f"An update with {type(request.physics).__name__} cannot be compiled: {why}"
    if request.compile:
        raise UnsupportedError(
            f"{what}. Leave out compile=True, or write the physics with tensor operations that depend on nothing but "
            f"their arguments."
        ) from cause
    update = step_by_step(trainable, request)
    _warn(what)
    return update


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
