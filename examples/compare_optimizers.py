"""
Tests whether a better optimizer makes up for a bad gradient: SIP with Adam against DP with many other optimizers.

DP is training through the physics, by SGD with momentum, Adam, Adadelta, Adagrad, RMSprop, L-BFGS and AdaHessian. HIG,
half-inverse gradients, invert network and physics together, see `half_inverse.py`. The problems are heat conduction (a
u-net, 32² cells), the rotated sine (ξ = 32, φ = 45°; a small dense network), and the three of the paper on HIG:
nonlinear oscillators, Poisson's equation and the quantum dipole. HIG is left out on heat, as the Jacobian of 16,384
observed values by all weights is. Every method has the learning rate of its own that did best in short runs with
another seed. All train for the same processor time on one thread, so that other programs do not matter; the errors are
those on samples not seen before. L-BFGS evaluates the loss at several weights, AdaHessian differentiates its gradient:
these run in a plain loop, all others through `sip_update_weights`. Writes a figure, `records.json` and `summary.md` to
the output folder. Ctrl-C keeps what was done so far.

Needs PyTorch and pytorch-optimizer: pip install ".[compare]"

    python examples/compare_optimizers.py                   # a quarter of an hour
    python examples/compare_optimizers.py --problems "heat conduction" "rotated sine"       # 6 minutes
    python examples/compare_optimizers.py --seconds 30      # an hour and a half
    python examples/compare_optimizers.py --quick           # seconds, to see that everything works
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import torch
from equal_time import Method, Problem, Sample, add_arguments, check_arguments, compare
from half_inverse_problems import PROBLEMS as OF_HALF_INVERSE
from phi.field import Field
from phiml import math, nn
from phiml.math import batch, spatial
from pytorch_optimizer import AdaHessian
from rotated_sine import HARDEST, make_data, make_network, predict

from phi_sip import HalfInverse, HeatEquation, ProbabilisticDamping, SaddleFreeNewton
from phi_sip.data import heat_rectangles
from phi_sip.states import trees

HEAT = HeatEquation(1.0, 8.0, regularization=ProbabilisticDamping())  # the cheapest rule: y* has no noise


def heat_network(seed: int) -> Any:
    math.seed(seed)
    with math.precision(32):
        return nn.u_net(1, 1, levels=3, filters=8, periodic=True)


def heat_sample(seed: int, step: int, samples: int) -> Sample:
    x = heat_rectangles(batch(batch=samples), spatial(x=32, y=32), seed=100_000 * seed + step)
    return Sample(HEAT, HEAT.forward(x), x)


def heat_prediction(net: Any, y: Field) -> Field:
    with math.precision(32):
        x = y.with_values(math.native_call(net, math.to_float(y.values)))
    return HEAT.constrain(trees.cast(x, 64), y)


def sine_sample(seed: int, step: int, samples: int) -> Sample:
    x = make_data(samples, seed, step)
    return Sample(HARDEST.physics, HARDEST.physics.forward(x), x)


ADAPTIVE, DP = (3e-4, 1e-3, 3e-3, 1e-2), {"solver": "gradient"}
HALF_INVERSE = "HIG, SGD"
METHODS = {
    "SIP, Adam": Method(torch.optim.Adam, ADAPTIVE, by_inverse=True),
    HALF_INVERSE: Method(torch.optim.SGD, (3e-3, 1e-2, 3e-2, 1e-1), {"targets": HalfInverse()}),
    "DP, SGD with momentum": Method(
        lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9), (1e-7, 1e-6, 1e-5, 1e-4, 1e-3), DP
    ),
    "DP, Adam": Method(torch.optim.Adam, ADAPTIVE, DP),
    "DP, Adadelta": Method(torch.optim.Adadelta, (0.1, 1.0, 10.0, 100.0), DP),
    "DP, Adagrad": Method(torch.optim.Adagrad, (1e-3, 1e-2, 3e-2, 1e-1), DP),
    "DP, RMSprop": Method(torch.optim.RMSprop, ADAPTIVE, DP),
    "DP, L-BFGS": Method(
        lambda parameters, lr: torch.optim.LBFGS(parameters, lr, max_iter=5, line_search_fn="strong_wolfe"),
        (0.01, 0.1, 1.0),
        plain=True,
    ),
    "DP, AdaHessian": Method(AdaHessian, (1e-2, 3e-2, 1e-1, 3e-1, 1.0), plain=True, create_graph=True),
}
PROBLEMS = {
    "heat conduction": Problem(
        heat_sample,
        heat_network,
        heat_prediction,
        {name: method for name, method in METHODS.items() if name != HALF_INVERSE},
        batch=16,
    ),
    "rotated sine": Problem(
        sine_sample,
        lambda seed: make_network("torch", seed),
        lambda net, y: trees.cast(predict(net, HARDEST.condition, y), 64),
        METHODS,
        batch=100,
        solver=SaddleFreeNewton(),
    ),
    **{
        name: replace(problem, methods={**METHODS, **problem.methods})  # HIG with the truncation of its paper
        for name, problem in OF_HALF_INVERSE.items()
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, PROBLEMS, "results/optimizers", seconds=5.0)
    options = parser.parse_args()
    check_arguments(parser, options)
    compare(PROBLEMS, options)


if __name__ == "__main__":
    main()
