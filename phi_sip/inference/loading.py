"""Reads a trained inverse from a folder that may come from anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..contract.physics import InvertiblePhysics
from ..descriptions.from_data import construct
from ..descriptions.networks import NetworkSpec
from ..errors import CheckpointError, SipError, UnsupportedError
from ..frameworks import training_framework, training_frameworks
from ..inputs import resolve_inputs
from ..plugins.references import Resolver, Untrusted, trusted
from ..risk import Guard, Interval
from ..text.printable import sentence
from ..training.checkpoints.manifest import Manifest, read_manifest
from .folder import FORMAT, KIND
from .grid import TrainingGrid
from .misfit import TrainingMisfit
from .network_size import check_network
from .replacing import finish_replacing
from .trained import TrainedInverse

REMEDY = "say so: load_inverse(folder, trust=True), or phi-sip invert --trust"


def load_inverse(folder: str | Path, trust: bool = False) -> TrainedInverse:
    """
    Loads what `save_inverse` saved. The folder may come from anybody: it is read as data, and measured before it is
    read. Only registered physics and networks are made.

    Args:
        folder: Where it is.
        trust: Whether a network `module:function` that the folder names may be imported and called. Say so only if you
            know what this function does with the arguments that the folder gives.

    Raises:
        CheckpointError: if the folder is damaged, or holds something else.
        UntrustedError: if it names a network `module:function` and is not trusted; nothing was imported or called.
        UnknownNameError: if the plugin of the physics, or the function of the network, is not installed.
        UnsupportedError: if its framework is not installed.
    """
    folder = Path(folder)
    finish_replacing(folder)
    manifest = _manifest_of(folder)
    resolve = trusted if trust else Untrusted(str(folder), REMEDY)
    network = _network_of(folder, manifest.content.get("network"), resolve)
    with _reading("physics", folder):
        physics = construct(manifest.content.get("physics"))
    with _reading("grid", folder):
        grid = None if (said := manifest.content.get("grid")) is None else TrainingGrid.of_description(said)
    with _reading("misfit", folder):
        misfit = None if (said := manifest.content.get("misfit")) is None else TrainingMisfit.of_description(said)
    with _reading("inputs", folder):
        inputs = resolve_inputs(construct(manifest.content.get("inputs")) or None)
    with _reading("guard", folder):
        guard = None if (said := manifest.content.get("guard")) is None else Guard.of_description(said)
    with _reading("interval", folder):
        interval = None if (said := manifest.content.get("interval")) is None else Interval.of_description(said)
    if not isinstance(physics, InvertiblePhysics):
        raise CheckpointError(f"{folder} says what no physics is: {physics!r}.")
    framework = training_framework(manifest.framework)
    try:
        backend = framework.backend
    except ImportError as error:
        raise UnsupportedError(
            f"{folder} needs {manifest.framework}, which cannot be imported here: {sentence(error)} Install it: "
            f"pip install 'phi-sip[{manifest.framework}]', or find out what is wrong: phi-sip doctor"
        ) from error
    with backend:
        try:
            check_network(network, [folder / name for name in manifest.files])
            net = network.build()
            framework.load_weights(net, folder)
        except Exception as error:
            raise CheckpointError(
                f"The weights in {folder} do not fit the network {network.describe()}: {sentence(error)} Was it made "
                f"by another version? Then: {manifest.content.get('versions')}"
            ) from error
    description = {**manifest.content, "framework": manifest.framework, "files": dict(manifest.files)}
    evaluate = framework.evaluation(net)
    return TrainedInverse(physics, network, grid, backend, description, evaluate, misfit, inputs, guard, interval)


def _manifest_of(folder: Path) -> Manifest:
    """Reads what the folder says of itself, if it is the folder of a trained inverse that can be read."""
    manifest = read_manifest(folder.resolve())
    if manifest.content.get("kind") != KIND:
        raise CheckpointError(f"{folder} holds no {KIND}, but something else. phi-sip train writes one to RUN/model.")
    if manifest.content.get("format", 1) not in range(1, FORMAT + 1):
        raise CheckpointError(
            f"{folder} has format {manifest.content['format']!r}, but this version of phi_sip reads formats up to "
            f"{FORMAT}. Use the version that wrote it."
        )
    known = training_frameworks()
    if manifest.framework not in known:
        raise CheckpointError(
            f"{folder} is of '{manifest.framework}', but known are {', '.join(sorted(known, reverse=True))}."
        )
    return manifest


def _network_of(folder: Path, data: Any, resolve: Resolver) -> NetworkSpec:
    named = isinstance(data, Mapping) and isinstance(data.get("name"), str)
    if not named or not isinstance(data.get("arguments"), Mapping):
        raise CheckpointError(f"{folder} does not say which network it holds: {data!r} has no name and arguments.")
    return NetworkSpec(data["name"], data["arguments"], resolve)


@contextmanager
def _reading(what: str, folder: Path) -> Iterator[None]:
    """Makes what fails on the manifest, which can say anything, fail clearly."""
    try:
        yield
    except SipError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{folder} says nothing that makes sense about its {what}: {type(error).__name__}: {sentence(error)}"
        ) from error
