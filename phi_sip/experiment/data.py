"""Training and validation data of an experiment."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from phi.field import Field
from phiml import math
from phiml.math import Shape, batch, spatial

from ..contract.physics import InvertiblePhysics
from ..data import (
    Batch,
    Samples,
    as_batch,
    by_step,
    heat_photograph_samples,
    heat_rectangle_samples,
    point_source_samples,
    scenes,
    smooth_field_samples,
    step_seed,
    stored,
)
from ..errors import ParameterError, UnknownNameError
from ..plugins.references import Resolver
from ..training.batches import Data as DataFunction
from .arguments import check_said_here
from .specification import Data

AXES = "xyz"
KINDS: dict[str, Callable[..., Samples[Any, Field]]] = {
    "rectangles": heat_rectangle_samples,
    "smooth": smooth_field_samples,
    "points": point_source_samples,
    "photographs": heat_photograph_samples,
}


FILES = ("observations", "states", "folder")  # arguments of those of `STORED`
# Arguments of functions of one's own, and of those of `STORED`, that are not those of `[data.arguments]`.
OF_OWN = {
    "physics": "it is that of [physics]",
    "batch_size": "it is data.batch_size",
    "seed": "it is experiment.seed",
}
OF_STORED = {
    "batch_size": "it is data.batch_size",
    "held_out": "it is data.validation",
    "seed": "it is experiment.seed",
    "precision": "it is experiment.precision",
}
STORED: dict[str, Callable[..., Any]] = {"stored": stored, "scenes": scenes}


Source = Callable[[InvertiblePhysics, int], tuple[DataFunction, Batch]]


def data_source(spec: Data, resolve: Resolver) -> Source:
    """
    Returns what makes, of physics and seed, batches by step, and a validation batch that is in none of them.

    Raises:
        ParameterError: if its arguments hold what the experiment says elsewhere.
        UnknownNameError: if there is no such kind of data.
        UntrustedError: if `resolve` refuses to import it.
    """
    if ":" in spec.kind:
        check_said_here("data.arguments", spec.arguments, OF_OWN)
        return partial(_of_ones_own, resolve(spec.kind, spec.arguments), spec)
    if spec.kind in STORED:
        check_said_here("data.arguments", spec.arguments, OF_STORED)
        return partial(_from_files, spec)
    if spec.kind not in KINDS:
        raise UnknownNameError(
            f"data.kind = '{spec.kind}', but it must be one of {', '.join((*KINDS, *STORED))}, or module:function."
        )
    return partial(_random, spec)


def files_of(spec: Data) -> list[str]:
    """Returns the absolute paths and patterns that data are read from; none if they are random."""
    named = [spec.arguments.get(name) for name in FILES] if spec.kind in STORED else []
    listed = [path for names in named for path in (names if isinstance(names, list) else [names])]
    return [os.path.abspath(path) for path in listed if isinstance(path, str)]


def _of_ones_own(make: Any, spec: Data, physics: InvertiblePhysics, seed: int) -> tuple[DataFunction, Batch]:
    of_step = make(physics=physics, batch_size=spec.batch_size, seed=seed, **spec.arguments)
    return by_step(of_step), as_batch(of_step(0))


def _random(spec: Data, physics: InvertiblePhysics, seed: int) -> tuple[DataFunction, Batch]:
    training, held_out = (_observed(spec, physics, samples) for samples in (spec.batch_size, spec.validation))
    of_step = Samples(lambda step: training.draw(step_seed(seed, step)), training.finish)
    return by_step(of_step), held_out(step_seed(seed, 0))


def _from_files(spec: Data, _: InvertiblePhysics, seed: int) -> tuple[DataFunction, Batch]:
    if spec.noise_std:
        raise ParameterError(
            f"data.noise_std = {spec.noise_std}, but observations in files have the noise that they have."
        )
    options = {
        "batch_size": spec.batch_size,
        "held_out": spec.validation,
        "seed": seed,
        "precision": math.get_precision(),
    }
    try:
        found = STORED[spec.kind](**options, **spec.arguments)
    except TypeError as error:
        raise ParameterError(f"data.arguments = {spec.arguments} do not fit '{spec.kind}': {error}.") from error
    return found.training, found.validation


def _observed(spec: Data, physics: InvertiblePhysics, samples: int) -> Samples[Any, Batch]:
    """States of a kind, and their noisy observations, by seed."""
    dims = batch(batch=samples), spatial(**dict(zip(AXES, spec.resolution, strict=False)))
    states = _states(spec, dims)

    def draw(seed: int) -> tuple[Any, np.ndarray]:
        noise = np.random.default_rng([seed, 1]).standard_normal((samples, *spec.resolution))
        return states.draw(seed), spec.noise_std * noise

    def finish(drawn: tuple[Any, np.ndarray]) -> Batch:
        x = states.finish(drawn[0])
        return Batch(physics.forward(x) + math.tensor(drawn[1], *dims), x)

    return Samples(draw, finish)


def _states(spec: Data, dims: tuple[Shape, Shape]) -> Samples[Any, Field]:
    try:
        return KINDS[spec.kind](*dims, **spec.arguments)
    except TypeError as error:
        raise ParameterError(f"data.arguments = {spec.arguments} do not fit '{spec.kind}': {error}.") from error
