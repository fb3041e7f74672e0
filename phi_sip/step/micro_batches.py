"""A batch in parts, one after the other, for what does not fit into memory at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from phiml import math
from phiml.math import Shape, Tensor

from ..compilation.inputs import part_of
from ..contract.update import SipUpdate, UpdateRequest
from ..errors import ParameterError
from ..states import trees


def split(request: UpdateRequest) -> list[UpdateRequest]:
    """
    Divides a request into equal parts of the batch. Parameters of the physics that vary along it are divided with it.

    Raises:
        ParameterError: if the batch cannot be divided into so many equal parts.
    """
    if request.micro_batches == 1:
        return [request]
    dim = _divided(request)
    size = dim.size // request.micro_batches
    return [_cut(request, dim.name, slice(start, start + size)) for start in range(0, dim.size, size)]


def joined(request: UpdateRequest, results: Sequence[SipUpdate]) -> SipUpdate:
    """Joins what all parts did."""
    if len(results) == 1:
        return results[0]
    dim = _divided(request)

    def along(*parts: Tensor) -> Tensor:
        return math.concat(parts, dim.name) if dim.name in parts[0].shape else parts[0]

    fields = ("loss", "x", "y", "x_target", "y_l2", *(("x_l2",) if results[0].x_l2 is not None else ()))
    whole = {name: trees.tree_map(along, *(getattr(result, name) for result in results)) for name in fields}
    return replace(results[0], **whole)


def _divided(request: UpdateRequest) -> Shape:
    """Finds the largest batch dim; of several, the first by name."""
    dims = math.merge_shapes(*(leaf.shape.batch for leaf in trees.leaves(request.y_target)))
    largest = min(dims, key=lambda dim: (-dim.size, dim.name), default=dims)
    if not largest or largest.size % request.micro_batches:
        raise ParameterError(
            f"micro_batches = {request.micro_batches}, but y_target has the batch {dims or 'of one'}. Give a number "
            f"that divides {'its largest dim' if dims else 'it: 1'}."
        )
    return largest


def _cut(request: UpdateRequest, dim: str, part: slice) -> UpdateRequest:
    def cut(item: Any) -> Any:
        return part_of(item, {dim: part})

    def cut_state(tree: Any) -> Any:
        return None if tree is None else trees.tree_map(cut, tree)

    return replace(
        request,
        y_target=cut_state(request.y_target),
        x_true=cut_state(request.x_true),
        physics=cut(request.physics),
        solver=cut(request.solver),
        inputs=cut(request.inputs),
        targets=cut(request.targets),
        draws=cut_state(request.draws),
        seen=cut_state(request.seen),
        step_size=cut(request.step_size),
    )
