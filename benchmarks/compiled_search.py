"""
Searches at random for computations for which the compiled function of another computation is used:

    python benchmarks/compiled_search.py --framework tensorflow --draws 1000

Each draw is an inversion or an update of y = s · x, with s kept in one of the ways of `tests/physics_forms.py`, made
anew or changed in place, on states of random order of dims and components, type, number of cells and boundary. All
draws are made in one process, so that everything compiled before is there. They are made again in another process,
where updates have `compile=False` and the compiled solvers are dropped before each draw. Both must agree, and the
inversions must be y / s. Prints the largest relative difference; the exit code is 1 if one is beyond rounding.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from phiml.math import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
FLOW = {"tensorflow": "phi.tf.flow", "jax": "phi.jax.flow", "torch": "phi.torch.flow"}
LARGEST = 1e-5  # relative, in single precision
SCALES = (2.0, 2.5, 3.0)


class Search:
    """Draws by number, and what remains from one to the next: networks, optimizers and physics that are changed."""

    def __init__(self, framework: str, fresh: bool) -> None:
        from frameworks import TABLE

        self.row = next(row for row in TABLE if row.name == framework)
        self.fresh = fresh
        self.changed: dict[str, Any] = {}
        self.net = self.row.u_net(in_spatial=2, batch_norm=False, levels=1, filters=2)
        self.optimizer = self.row.sgd(self.net, 0.0)

    def draw(self, number: int) -> np.ndarray:
        """What one draw gives, as an array in canonical order."""
        from phi_sip import ConjugateGradient, GaussNewton, sip_inverse, sip_update_weights

        rng = np.random.default_rng(number)
        physics, scale = self._physics(rng)
        is_inversion = rng.random() < 0.5
        y = _states(rng, str(rng.choice(["", "x,y", "y,x"])) if is_inversion else "")
        if is_inversion:
            self._forget()
            solver = ConjugateGradient(iterations=3) if physics.is_linear else GaussNewton(2, 3)
            step = sip_inverse(physics, y, y * 0, solver=solver)
            found, expected = (_values(tree) for tree in (step.x_target, y))
            np.testing.assert_allclose(found, expected / scale, rtol=LARGEST, err_msg=f"draw {number}")
            return found
        options = {"compile": not (self.fresh or self.row.name == "torch")}
        update = sip_update_weights(self.net, self.optimizer, physics, y, solver="gradient", **options)
        return update.y_l2.numpy("batch")

    def _physics(self, rng: np.random.Generator) -> tuple[Any, float]:
        from physics_forms import CHANGED_IN_PLACE, FORMS

        scale = float(rng.choice(SCALES))
        if rng.random() < 0.4:
            form = str(rng.choice(sorted(CHANGED_IN_PLACE)))
            make, change = CHANGED_IN_PLACE[form]
            physics = make(1.0) if self.fresh else self.changed.setdefault(form, make(1.0))
            change(physics, scale)
            return physics, scale
        return FORMS[str(rng.choice(sorted(FORMS)))](scale), scale

    def _forget(self) -> None:
        if self.fresh:
            from phi_sip.solvers import least_squares

            least_squares._compiled.cache_clear()


def _states(rng: np.random.Generator, components: str) -> object:
    """Observations; with `components` those of a vector."""
    from phi.field import CenteredGrid
    from phiml import math
    from phiml.math import batch, channel, extrapolation, spatial

    sizes = {"x": int(rng.choice([2, 3])), "y": 2}
    dims = [batch(batch=2), *(spatial(**{axis: sizes[axis]}) for axis in rng.permutation(list(sizes)))]
    dims += [channel(vector=components)] if components else []
    dims = [dims[i] for i in rng.permutation(len(dims))]
    values = 1 + rng.random([dim.size for dim in dims]).astype(rng.choice(["float32", "float64"]))
    with math.precision(64):
        tensor = math.tensor(values, *dims)
    tensor = math.convert(tensor) if values.dtype == np.float64 else math.cast(tensor, math.DType(float, 32))
    boundary = rng.choice(["none", "PERIODIC", "ZERO_GRADIENT", "ZERO"])
    if boundary == "none":
        return tensor
    return CenteredGrid(tensor, getattr(extrapolation, str(boundary)))


def _values(tree: object) -> np.ndarray:
    values = tree if isinstance(tree, Tensor) else tree.values
    parts = [values.vector[name] for name in "xy"] if "vector" in values.shape else [values]
    return np.stack([part.numpy("batch,x,y") for part in parts])


def run(framework: str, numbers: range, fresh: bool) -> list[np.ndarray]:
    """The results of all draws."""
    from phiml import math

    importlib.import_module(FLOW[framework])
    warnings.simplefilter("ignore")
    with math.precision(64):
        search = Search(framework, fresh)
        return [search.draw(number) for number in numbers]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="tensorflow")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first draw")
    parser.add_argument("--fresh", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    numbers = range(options.first, options.first + options.draws)
    if options.fresh:
        found = run(options.framework, numbers, fresh=True)
        np.savez(options.fresh, **{f"{i}": array for i, array in zip(numbers, found, strict=True)})
        return 0
    found = run(options.framework, numbers, fresh=False)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fresh.npz"
        subprocess.run([sys.executable, *sys.argv, "--fresh", str(file)], check=True)
        with np.load(file) as archive:
            fresh = [archive[f"{i}"] for i in numbers]
    differences = [np.max(np.abs(a - b) / np.abs(b).max()) for a, b in zip(found, fresh, strict=True)]
    worst = int(np.argmax(differences))
    print(f"{options.framework}: {options.draws} draws, largest relative difference {differences[worst]:.1e}", end=" ")
    print(f"(draw {numbers[worst]})")
    return int(differences[worst] > LARGEST)


if __name__ == "__main__":
    sys.exit(main())
