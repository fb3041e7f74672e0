"""A trained inverse: a network, the physics that it inverts, and how both are kept in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phi.field import Field
from phiml import math
from phiml.backend import Backend
from phiml.math import Tensor

from ..contract.physics import InvertiblePhysics
from ..contract.trainable import defined_in
from ..descriptions.from_data import construct
from ..descriptions.networks import NetworkSpec
from ..descriptions.to_data import describe
from ..errors import CheckpointError, NetworkOutputError, ParameterError, SipError, UnsupportedError
from ..inversion.operator import sip_inverse
from ..plugins.references import Resolver, Untrusted, trusted
from ..states import trees
from ..states.checks import check_finite
from ..step.network import call_network
from ..text.printable import sentence
from ..training.checkpoints.manifest import read_manifest, write_manifest
from ..training.run_folder import installed_versions
from .grid import TrainingGrid
from .misfit import SAMPLES, TrainingMisfit, per_sample
from .network_size import check_network
from .replacing import finish_replacing, replaced_folder
from .weights import weights_module

KIND = "trained inverse"
REMEDY = "say so: load_inverse(folder, trust=True), or phi-sip invert --trust"
# framework → packages that its networks come from
FRAMEWORKS = {"torch": ("torch",), "tensorflow": ("keras", "tensorflow"), "jax": ("phiml.backend.jax",)}


@dataclass(frozen=True)
class Inversion:
    """
    What a trained inverse makes of observations.

    Attributes:
        x: Predicted states.
        y_l2: ½ ‖P(x) − y*‖² per sample: whether they explain the observations.
        uncertainty: Standard deviation per cell to be expected of a state inverted from these observations by the
            physics' own inverse, which the network was trained to give; `None` if the physics knows none.
        misfit_ratio: `y_l2` of each sample per value ÷ what 95 % of the samples stayed below with which the network was
            saved; far above 1 for observations unlike those. `None` if it was saved without.
    """

    x: Any
    y_l2: Tensor
    uncertainty: Any
    misfit_ratio: Tensor | None = None


@dataclass(frozen=True)
class TrainedInverse:
    """
    A network that inverts a physics.

    Attributes:
        physics: The process.
        network: Which network it is.
        grid: What it was trained on, if that is known.
        backend: PhiML's, on which it runs.
        description: What its folder says: framework, physics, network, grid, misfit, versions, SHA-256 of its files.
        misfit: How well it explained observations like those of the training, if that is known.
    """

    physics: InvertiblePhysics
    network: NetworkSpec
    grid: TrainingGrid | None
    backend: Backend
    description: dict[str, Any]
    evaluate: Callable[[Any], Any]
    misfit: TrainingMisfit | None = None

    def predict(self, y_target: Field | Tensor) -> Any:
        """
        x = f(y*; θ), with what y* says exactly imposed by `physics.constrain`. The network takes axes and named
        components in the order in which it was trained, whatever the order in which y* is stored.

        Args:
            y_target: Observations: `Field` or `Tensor` with the channels that the network has.

        Raises:
            NonFiniteError: if they hold NaN or infinity.
            GridMismatchError: if they have other cells than those that it was trained on.
            NetworkOutputError: if the network cannot be evaluated on this resolution.
        """
        check_finite("y_target", y_target, "Remove or repair these samples before inverting.")
        if self.grid is not None and isinstance(y_target, Field):
            self.grid.check(y_target)
        precision = trees.precision_of(y_target)
        with self.backend, math.precision(precision):
            y_target = trees.to_backend(y_target, self.backend)
            try:
                x = call_network(self.evaluate, y_target, () if self.grid is None else self.grid.axes)
            except SipError:
                raise
            except Exception as error:
                raise NetworkOutputError(
                    f"The network '{self.network.name}' cannot be evaluated on {trees.describe(y_target)}: "
                    f"{type(error).__name__}: {sentence(error)} A u_net of n levels needs resolutions that are "
                    f"multiples of 2^(n−1), and every network the rank and channels that it was made for."
                ) from error
            return self.physics.constrain(trees.cast(x, precision), y_target)

    def invert(self, y_target: Field | Tensor, refine: int = 0) -> Inversion:
        """
        The prediction, how well it explains the observations, and the uncertainty,

            x₀ = f(y*; θ),   xₖ = P⁻¹(y*; xₖ₋₁),   x = x_refine

        Args:
            y_target: As for `predict`.
            refine: How many times ≥ 0 the physics' own inverse goes on from the prediction. Once is all there is to
                gain where it is exact; for an iterative one, the network gives the start.

        Warns with `MisfitWarning` of samples that their states explain far worse than those of the training.

        Raises:
            ParameterError: if `refine` is no such number.
            SipError: as `predict` and `sip_inverse`.
        """
        inversion = self.answer(y_target, refine)
        if self.misfit is not None and inversion.misfit_ratio is not None:
            self.misfit.warn(per_sample(inversion.misfit_ratio))
        return inversion

    def answer(self, y_target: Field | Tensor, refine: int = 0) -> Inversion:
        """As `invert`, but without warnings, for who looks at `misfit_ratio`."""
        if not isinstance(refine, int) or refine < 0:
            raise ParameterError(f"refine = {refine!r}, but it must be an integer ≥ 0.")
        x = self.predict(y_target)
        with self.backend, math.precision(trees.precision_of(y_target)):  # PhiML rounds what it converts
            y_target = trees.to_backend(y_target, self.backend)
            step = sip_inverse(self.physics, y_target, x)
            for _ in range(refine):
                step = sip_inverse(self.physics, y_target, step.x_target)
            ratio = None if self.misfit is None else self.misfit.ratio(step.residual, y_target)
        return Inversion(step.x, trees.l2_loss(step.residual), step.uncertainty, ratio)


def save_inverse(
    folder: str | Path, net: Any, physics: InvertiblePhysics, network: NetworkSpec, observations: Any = None
) -> Path:
    """
    Saves a trained network and what it inverts; what was in the folder before is replaced when all is written.

    Args:
        folder: Where.
        net: Network, made by `network.build()`.
        physics: Process, made of numbers and registered parts, see `describe`.
        network: What the network was made by.
        observations: Some like those that it was trained on, better those of the validation. Those on centered grids
            with other axes, lengths of cells or another boundary will be refused, and those that it explains much worse
            than these warned of; without, anything is inverted, without a word.

    Raises:
        UnsupportedError: if the physics cannot be written as plain data, or no plugin knows the network.
        CheckpointError: if it cannot be written; what was there before is still there.
    """
    folder = Path(folder)
    framework = _framework_of(net)
    is_grid = isinstance(observations, Field) and observations.is_grid and observations.is_centered
    grid = TrainingGrid.of(observations) if is_grid else None
    misfit = None if observations is None else _misfit(net, framework, physics, network, observations)
    content = {
        "kind": KIND,
        "physics": describe(physics),
        "network": network.describe(),
        "grid": None if grid is None else grid.describe(),
        "misfit": None if misfit is None else misfit.describe(),
        "versions": installed_versions(),
    }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replaced_folder(folder) as unfinished:
            weights_module(framework).save(net, unfinished)
            write_manifest(unfinished, 0, framework, content)
    except Exception as error:  # frameworks have their own for a full disk
        raise CheckpointError(
            f"The trained inverse cannot be written to {folder}: {type(error).__name__}: {sentence(error)}"
        ) from error
    return folder


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
    manifest = read_manifest(folder.resolve())
    if manifest.content.get("kind") != KIND:
        raise CheckpointError(f"{folder} holds no {KIND}, but something else. phi-sip train writes one to RUN/model.")
    if manifest.framework not in FRAMEWORKS:
        raise CheckpointError(f"{folder} is of '{manifest.framework}', but known are {', '.join(FRAMEWORKS)}.")
    resolve = trusted if trust else Untrusted(str(folder), REMEDY)
    network = _network_of(folder, manifest.content.get("network"), resolve)
    with _reading("physics", folder):
        physics = construct(manifest.content.get("physics"))
    with _reading("grid", folder):
        grid = manifest.content.get("grid") and TrainingGrid.of_description(manifest.content["grid"])
    with _reading("misfit", folder):
        misfit = manifest.content.get("misfit") and TrainingMisfit.of_description(manifest.content["misfit"])
    if not isinstance(physics, InvertiblePhysics):
        raise CheckpointError(f"{folder} says what no physics is: {physics!r}.")
    module = weights_module(manifest.framework)
    try:
        backend = module.backend()
    except ImportError as error:
        raise UnsupportedError(
            f"{folder} needs {manifest.framework}, which cannot be imported here: {sentence(error)} Install it: "
            f"pip install 'phi-sip[{manifest.framework}]', or find out what is wrong: phi-sip doctor"
        ) from error
    with backend:
        try:
            check_network(network, folder / module.FILE)
            net = network.build()
            module.load(net, folder)
        except Exception as error:
            raise CheckpointError(
                f"The weights in {folder} do not fit the network {network.describe()}: {sentence(error)} Was it made "
                f"by another version? Then: {manifest.content.get('versions')}"
            ) from error
    description = {**manifest.content, "framework": manifest.framework, "files": dict(manifest.files)}
    return TrainedInverse(physics, network, grid, backend, description, module.evaluation(net), misfit)


def _misfit(
    net: Any, framework: str, physics: InvertiblePhysics, network: NetworkSpec, observations: Any
) -> TrainingMisfit | None:
    """Of the network on some of the observations; `None` if it cannot be evaluated on them as they are."""
    module = weights_module(framework)
    inverse = TrainedInverse(physics, network, None, module.backend(), {}, module.evaluation(net))
    some = trees.tree_map(lambda u: u[dict.fromkeys(u.shape.batch.names[:1], slice(0, SAMPLES))], observations)
    try:
        x = inverse.predict(some)
        with inverse.backend, math.precision(trees.precision_of(some)):
            return TrainingMisfit.of(trees.subtract(physics.forward(x), trees.to_backend(some, inverse.backend)))
    except SipError:
        return None


def _network_of(folder: Path, data: Any, resolve: Resolver) -> NetworkSpec:
    named = isinstance(data, Mapping) and isinstance(data.get("name"), str)
    if not named or not isinstance(data.get("arguments"), Mapping):
        raise CheckpointError(f"{folder} does not say which network it holds: {data!r} has no name and arguments.")
    return NetworkSpec(data["name"], data["arguments"], resolve)


@contextmanager
def _reading(what: str, folder: Path) -> Iterator[None]:
    """What a manifest says can be anything: what fails on it fails clearly."""
    try:
        yield
    except SipError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{folder} says nothing that makes sense about its {what}: {type(error).__name__}: {sentence(error)}"
        ) from error


def _framework_of(net: Any) -> str:
    for name, packages in FRAMEWORKS.items():
        if defined_in(net, *packages):
            return name
    raise UnsupportedError(
        f"A {type(net).__module__}.{type(net).__qualname__} cannot be saved. Use a Keras model, a torch.nn.Module or a "
        f"JAX network of phiml.nn."
    )
