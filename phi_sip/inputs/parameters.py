"""The known parameters of the physics that made an observation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from phi.field import Field
from phiml import math
from phiml.math import Shape, Tensor, channel

from ..contract.inputs import NetworkInput, Observed
from ..contract.physics import InvertiblePhysics
from ..errors import GridMismatchError, ParameterError, UnsupportedError
from ..states import order, trees

CHANNEL = channel("_parameters")
REMEDY = "Choose them by name, e.g. Parameters(names=['diffusivity'])"


@dataclass(frozen=True)
class Parameters(NetworkInput):
    """
    Shows the known parameters of the physics, each as a channel: one that differs from sample to sample as a constant
    on all cells, one that differs from cell to cell as it is.

    By default these are all of `InvertiblePhysics.network_parameters` that differ between samples or cells: tensors and
    fields with batch or spatial dims. Their order is that of the fields of the physics. Of a parameter with components,
    such as a vector, each component is a channel, in the order of their names. Values are in the units of the physics:
    one whose parameters are better shown otherwise, as logarithms, says so by `network_parameters`.

    Args:
        names: Which parameters are shown, and in which order; those that are plain numbers, too. Default: as above.

    Raises:
        ParameterError: if `names` is no list of words, or names one twice.
    """

    name: ClassVar[str] = "parameters"

    names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.names is None:
            return
        is_list = isinstance(self.names, (list, tuple)) and all(isinstance(name, str) for name in self.names)
        if not is_list or not self.names or len(set(self.names)) < len(self.names):
            raise ParameterError(
                f"Parameters: names = {self.names!r}. Give a list of different names: ['diffusivity']."
            )
        object.__setattr__(self, "names", tuple(self.names))

    def of(self, observed: Observed) -> Any:
        physics = observed.physics
        shown = self._shown(physics)
        cells = trees.leaves(physics.initial_state(observed.y_target))[0].shape.spatial
        for name, value in shown.items():
            _check_cells(f"{type(physics).__name__}.{name}", value.shape.spatial, cells)
        parts = [math.expand(math.to_float(value), cells) for _, value in _components(shown)]
        batches = math.merge_shapes(*(part.shape.batch for part in parts))
        return math.stack([math.expand(part, batches) for part in parts], CHANNEL)

    def channels(self, observed: Observed, shown: Any) -> Sequence[str]:
        return [name for name, _ in _components(self._shown(observed.physics))]

    def fixed(self, physics: InvertiblePhysics) -> Parameters:
        """Returns the input that shows the same parameters by name, also where they are all plain numbers."""
        return Parameters(tuple(self._shown(physics)))

    def _shown(self, physics: InvertiblePhysics) -> Mapping[str, Tensor]:
        """
        Returns the parameters that are shown, by name.

        Raises:
            ParameterError: if there are none, or one of them is not known.
            UnsupportedError: if one is no picture.
        """
        owner = type(physics).__name__
        known = {name: _values(value) for name, value in physics.network_parameters.items()}
        if self.names is None:
            shown = {name: value for name, value in known.items() if _varies(value)}
            if not shown:
                raise ParameterError(
                    f"{owner} has no known parameter that differs between samples or cells, so there is none to show a "
                    f"network. Give it as a tensor, math.tensor(nu, batch('batch')), or leave out 'parameters'. "
                    f"{REMEDY} to show one that is a number: {', '.join(known) or 'it has none'}."
                )
            return shown
        missing = [name for name in self.names if name not in known]
        if missing:
            raise ParameterError(
                f"{owner} has no parameter {', '.join(map(repr, missing))} to show a network, but "
                f"{', '.join(known) or 'none at all'}."
            )
        for name in self.names:
            if known[name].shape.instance or known[name].shape.dual:
                raise UnsupportedError(
                    f"{owner}.{name} has the dims {known[name].shape}: values at points, which are no picture, and "
                    f"cannot be shown to a network. Leave it out."
                )
        return {name: known[name] for name in self.names}


def _check_cells(what: str, own: Shape, cells: Shape) -> None:
    if any(axis not in cells or own.get_size(axis) != cells.get_size(axis) for axis in own.names):
        raise GridMismatchError(
            f"{what} has the cells {own}, but the state has {cells}, so a network cannot be shown both. Leave it out: "
            f"{REMEDY}, or resample it."
        )


def _values(value: float | Tensor | Field) -> Tensor:
    return value.values if isinstance(value, Field) else math.wrap(value)


def _varies(value: Tensor) -> bool:
    """Tells whether a parameter differs between samples or cells, and is a picture."""
    return bool(value.shape.batch or value.shape.spatial) and not (value.shape.instance or value.shape.dual)


def _components(shown: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    """Returns all components of parameters with what they are called, those that have names in their order."""
    found = []
    for name, value in shown.items():
        value = order.in_canonical_order(value)
        for index in value.shape.channel.meshgrid(names=True):
            label = ", ".join(str(component) for component in index.values())
            found.append((f"{name} ({label})" if label else name, value[index] if index else value))
    return found
