"""Checks of a single inversion, and of `constrain`."""

from __future__ import annotations

from typing import Any

import numpy as np
from phiml import math

from ..contract.step import SAMPLES
from ..inversion.operator import sip_inverse
from ..states import trees
from .derivatives import gradient
from .report import NotApplicableError, require
from .sample import SIZES, Sample, total

DRAWS = 64  # states of the posterior


def check_dims(sample: Sample) -> str:
    """Checks that dx has the dims and precision of x."""
    step = sample.step()
    for dx, x in zip(trees.leaves(step.dx), trees.leaves(step.x), strict=True):
        require(
            set(dx.shape.names) == set(x.shape.names), f"dx has dims {dx.shape}, x has {x.shape}. Return dx like x."
        )
        require(dx.dtype == x.dtype, f"dx is {dx.dtype}, x is {x.dtype}. Keep the precision of the input.")
    return trees.describe(step.dx)


def check_approaches(sample: Sample) -> str:
    """Checks ‖P(x̃) − y*‖ < ‖P(x) − y*‖ in every batch entry."""
    before, after = sample.misfits(SIZES[0])
    open_ = before > sample.unexplained
    grows = open_ & ~(after < before)
    require(
        not grows.any(),
        f"The residual of {int(grows.sum())} of {grows.size} batch entries does not fall; the worst goes from "
        f"{_worst(before, after / before):.2e} to {_worst(after, after / before):.2e}. Check sign and scale of "
        f"`inverse`; where it is local, shorten the step.",
    )
    return f"residual × {np.max(after[open_] / before[open_], initial=0.0):.1e}"


def check_descends(sample: Sample) -> str:
    """Checks dx · Jᵀ(y* − y) > 0 in every batch entry, the condition for convergence of training."""
    step = sample.step()
    before, _ = sample.misfits(SIZES[0])
    downhill = gradient(sample, step.x, lambda y: trees.subtract(sample.y_target, y))
    product, size = sample.dot(step.dx, downhill), sample.norm(step.dx) * sample.norm(downhill)
    open_ = before > sample.unexplained
    uphill = open_ & ~(product > 0)
    require(
        not uphill.any(),
        f"dx · Jᵀ(y* − y) = {np.min(product):.1e} ≤ 0 in {int(uphill.sum())} of {uphill.size} batch entries: the "
        f"correction does not descend on ½‖P(x) − y*‖², so training need not converge. Check sign and scale of "
        f"`inverse` for every entry.",
    )
    return f"cosine to the gradient {np.min(product[open_] / size[open_], initial=1.0):.1e}"


def check_rests(sample: Sample) -> str:
    """Checks that dx = 0 at the solution, or within twice the uncertainty of an inverse with a prior of its own."""
    step = sample.step(0.0)
    moved = total(sample.norm(step.dx))
    own = 0.0 if step.uncertainty is None else total(sample.norm(step.uncertainty))
    size = total(sample.norm(sample.x)) or 1.0
    require(
        moved < 1e3 * sample.tolerance * size + 2 * own,
        f"At the solution dx is {moved / size:.1e} of x, and the uncertainty {own / size:.1e}. `inverse` must return 0 "
        f"where y = y*, or stay within twice the uncertainty that it reports if it has a prior of its own.",
    )
    return f"|dx| / |x| = {moved / size:.0e}"


def check_batch_independent(sample: Sample) -> str:
    """Checks that the first batch entry gets the same answer whatever the others are: here, copies of it."""
    dim = sample.batch_dim
    whole, target = sample.step(), sample.forward(_repeat_first(sample.x, dim))
    copies = sip_inverse(sample.physics, target, _repeat_first(whole.x, dim), solver=sample.solver)
    error = max(_relative(copies.y, whole.y, dim), _relative(copies.dx, whole.dx, dim))
    require(
        error < 1e3 * sample.tolerance,
        f"A sample gives another answer when the other samples of the batch are others (relative difference "
        f"{error:.1e}). Reduce over spatial and channel dims only: math.mean(u, u.shape.non_batch).",
    )
    return f"relative difference {error:.0e}"


def check_constraint(sample: Sample) -> str:
    """Checks that `constrain` is a projection that keeps the true state."""
    once = sample.physics.constrain(sample.guess(SIZES[0]), sample.y_target)
    twice = sample.physics.constrain(once, sample.y_target)
    kept = sample.physics.constrain(sample.x, sample.y_target)
    size = total(sample.norm(sample.x)) or 1.0
    changed = total(sample.norm(trees.subtract(twice, once))) / size
    moved = total(sample.norm(trees.subtract(kept, sample.x))) / size
    require(changed < 1e3 * sample.tolerance, f"`constrain` applied twice changes x again by {changed:.1e}.")
    require(
        moved < 1e3 * sample.tolerance,
        f"`constrain` changes the true state by {moved:.1e}. Impose only what y* determines exactly.",
    )
    return f"true state kept to {moved:.0e}"


def check_uncertainty(sample: Sample) -> str:
    """Checks that the uncertainty is finite and ≥ 0."""
    uncertainty = sample.step().uncertainty
    if uncertainty is None:
        raise NotApplicableError("the inverse reports none")
    require(trees.all_finite(uncertainty), "The uncertainty holds NaN or infinity.")
    least = min(float(math.min(leaf, leaf.shape)) for leaf in trees.leaves(uncertainty))
    require(least >= 0, f"The uncertainty is {least:.1e} somewhere. It is a standard deviation: ≥ 0.")
    return f"at least {least:.0e}"


def check_posterior(sample: Sample) -> str:
    """Checks that states that are drawn of the posterior spread around x̃ as the uncertainty says, within a factor 2."""
    step = sample.step()
    if step.draw is None:
        raise NotApplicableError("the inverse has no posterior")
    drawn = step.draw(DRAWS, np.random.default_rng(0))
    for leaf, like in zip(trees.leaves(drawn, step.x), trees.leaves(step.x), strict=True):
        require(
            set(leaf.shape.names) == {SAMPLES, *like.shape.names} and leaf.shape.get_size(SAMPLES) == DRAWS,
            f"draw({DRAWS}, generator) gave {leaf.shape}, x has {like.shape}. Return states like x along a batch dim "
            f"{SAMPLES}.",
        )
    require(trees.all_finite(drawn), "States that are drawn hold NaN or infinity.")
    if step.uncertainty is None:
        raise NotApplicableError("the inverse reports no uncertainty")
    found = _root_mean_square(trees.subtract(drawn, step.x_target))
    expected, rounding = _root_mean_square(step.uncertainty), sample.tolerance * _root_mean_square(step.x_target)
    require(
        0.5 * expected - rounding <= found <= 2 * expected + rounding,
        f"States that are drawn are {found:.1e} from x̃, but the uncertainty is {expected:.1e}. Draw from the "
        f"distribution of which x̃ is the mean and the uncertainty the standard deviation.",
    )
    return f"spread {found:.0e}, uncertainty {expected:.0e}"


def _root_mean_square(tree: Any) -> float:
    squares = [float(math.mean(leaf**2, leaf.shape)) for leaf in trees.leaves(tree)]
    return float(np.sqrt(np.mean(squares)))


def _repeat_first(tree: Any, dim: str) -> Any:
    """Returns the state with all batch entries like the first one."""
    return trees.tree_map(lambda u: u[{dim: [0] * u.shape.get_size(dim)}] if dim in u.shape else u, tree)


def _relative(a: Any, b: Any, dim: str) -> float:
    """Computes ‖a₀ − b₀‖ / ‖b₀‖ with the first batch entries a₀ and b₀."""
    difference = size = 0.0
    for u, v in zip(trees.leaves(a), trees.leaves(b), strict=True):
        first, other = (w[{dim: 0}].numpy(v.shape.without(dim)).astype(float) for w in (u, v))
        difference += float(np.sum((first - other) ** 2))
        size += float(np.sum(other**2))
    return float(np.sqrt(difference / (size or 1.0)))


def _worst(values: np.ndarray, by: np.ndarray) -> float:
    """Returns the value where `by` is largest."""
    return float(values.ravel()[np.argmax(by)])
