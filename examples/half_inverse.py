"""
Half-inverse gradients (HIG) against ordinary training through the physics (DP): the experiments of arXiv 2203.10131.

A network finds the force that brings two nonlinear oscillators back to where they were (`--problems "nonlinear
oscillators"`, the default), the field whose Laplacian is given (`Poisson`), or the electric field that brings a
particle in a box to a given state (`"quantum dipole"`). HIG inverts the Jacobian of network and physics together half
of the way, `HalfInverse()`, and follows it by plain gradient descent. DP follows the gradient by Adam, and SIP the
gradient to a local inverse of the physics alone. Networks and truncations are those of the paper, and so are the
batches but for Poisson's equation; data are new in each step. Each method has the best of its learning rates, in short
runs with another seed, and the same processor time. Beside them the inverse alone, without a network:
Levenberg–Marquardt from no force, for each sample, and the exact inverse of the Laplacian. Writes a figure,
`records.json` and `summary.md` to the output folder. Ctrl-C keeps what was done so far. Needs PyTorch.

    python examples/half_inverse.py                                         # 4 minutes of processor time
    python examples/half_inverse.py --problems Poisson "quantum dipole"     # 10 minutes
    python examples/half_inverse.py --quick                                 # seconds, to see that everything works
"""

from __future__ import annotations

import argparse

from equal_time import add_arguments, check_arguments, compare
from half_inverse_problems import PROBLEMS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser, PROBLEMS, "results/half_inverse", seconds=20.0)
    parser.set_defaults(problems=["nonlinear oscillators"])
    options = parser.parse_args()
    check_arguments(parser, options)
    compare(PROBLEMS, options)


if __name__ == "__main__":
    main()
