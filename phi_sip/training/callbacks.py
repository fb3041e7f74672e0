"""What may look at a training run while it goes on."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ParameterError
from ..text.printable import sentence
from .records import RunRecord, StepRecord, ValidationRecord

Arrays = Mapping[str, np.ndarray]


class Callback:
    """
    Is told what happens in a run. All methods do nothing unless overridden. An error raised by one ends the training,
    with the state saved.
    """

    def on_start(self, run: RunRecord) -> None:
        """Is called before the first step; `run` holds what was done before an interruption."""

    def on_step(self, record: StepRecord) -> None:
        """Is called after each step."""

    def on_validation(self, record: ValidationRecord, samples: Arrays) -> None:
        """Is called after each validation; `samples` are as in `samples.npz`, see `phi_sip.training.validation`."""

    def on_checkpoint(self, step: int) -> None:
        """Is called before the state after `step` steps is saved, which an error here does not prevent."""

    def on_end(self, run: RunRecord, reason: str) -> None:
        """Is called at the end, also after an error; `reason` says why. All are told, even if one of them raises."""


HOOKS = {name: value for name, value in vars(Callback).items() if name.startswith("on_")}


def check_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """
    Returns the callbacks of a run.

    Raises:
        ParameterError: if one is no `Callback`, has a method `on_…` that is never called, or one that does not take
            what it is told.
    """
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Sequence):
        raise ParameterError(f"train: callbacks is a {type(callbacks).__name__}. Give a list of them: [callback].")
    for callback in callbacks:
        if not isinstance(callback, Callback):
            given = f"the class {callback.__name__}" if isinstance(callback, type) else f"a {type(callback).__name__}"
            raise ParameterError(
                f"train: callbacks hold {given}. Give objects of classes derived from phi_sip.training.Callback."
            )
        for name in (name for name in dir(callback) if name.startswith("on_")):
            _check_method(type(callback).__name__, name, getattr(callback, name))
    return tuple(callbacks)


def _check_method(owner: str, name: str, method: Any) -> None:
    if name not in HOOKS:
        close = difflib.get_close_matches(name, HOOKS, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ParameterError(
            f"train: {owner}.{name} is never called.{hint} A callback has {', '.join(HOOKS)}; name other methods "
            f"otherwise."
        )
    told = list(inspect.signature(HOOKS[name]).parameters)[1:]
    takes = f"{owner}.{name} is called with ({', '.join(told)})"
    if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
        raise ParameterError(f"train: {takes}, but async functions and generators do nothing then. Make it a function.")
    try:
        inspect.signature(method).bind(*told)
    except TypeError as error:
        raise ParameterError(f"train: {takes}, which it does not take: {sentence(error)}") from error
    except ValueError:  # of functions that do not tell
        return
