"""Checks of `forward` and of the class."""

from __future__ import annotations

import dataclasses

from ..states import order, trees
from .report import require
from .sample import Sample, total


def check_definition(sample: Sample) -> str:
    """Checks that the class is a frozen dataclass with a name."""
    cls = type(sample.physics)
    require(
        isinstance(cls.name, str) and bool(cls.name),
        "Give the class a `name: ClassVar[str]`: the key under which users ask for it.",
    )
    require(
        dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen,  # type: ignore[attr-defined]
        "Decorate the class with @dataclass(frozen=True): a physics must not change during training.",
    )
    return f"name '{cls.name}'"


def check_finite(sample: Sample) -> str:
    """Checks that P(x) holds neither NaN nor infinity."""
    require(
        trees.all_finite(sample.y_target),
        "P(x) holds NaN or infinity. Check the range of x, and the stability of the simulation.",
    )
    return trees.describe(sample.y_target)


def check_repeatable(sample: Sample) -> str:
    """Checks that P(x) is the same twice."""
    difference = total(sample.norm(trees.subtract(sample.forward(sample.x), sample.y_target)))
    relative = difference / (total(sample.norm(sample.y_target)) or 1.0)
    require(difference == 0, f"P(x) differs by {relative:.1e} between two calls. Draw no random numbers in `forward`.")
    return ""


def check_precision(sample: Sample) -> str:
    """Checks that P(x) has the precision of x."""
    found = trees.precision_of(sample.y_target)
    require(
        found == sample.precision,
        f"x has {sample.precision} bits, P(x) has {found}. Create constants with phiml, not with a fixed dtype.",
    )
    return f"{found} bits"


def check_order_of_dims(sample: Sample) -> str:
    """Checks that P(x) is the same for x stored with its dims in the opposite order."""
    backwards = [order.reordered(leaf, leaf.shape.names[::-1]) for leaf in trees.leaves(sample.x)]
    found = sample.forward(trees.with_leaves(sample.x, backwards))
    error = total(sample.norm(trees.subtract(found, sample.y_target))) / (total(sample.norm(sample.y_target)) or 1.0)
    require(
        error < 1e3 * sample.tolerance,
        f"P(x) differs by {error:.1e} where the dims of x are stored in another order. Address dims by name in "
        f"`forward`: x.shape.spatial[0] and native tensors follow the order in memory.",
    )
    return f"relative difference {error:.0e}"
