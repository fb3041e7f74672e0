"""What the examples share: their arguments and their data."""

from __future__ import annotations

import argparse

from phi.field import Field
from phiml.math import batch, spatial

from phi_sip.data import heat_rectangles, step_seed


def parse_arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50, help="weight updates (default 50)")
    parser.add_argument("--batch", type=int, default=32, help="samples per update, of all workers (default 32)")
    parser.add_argument("--resolution", type=int, default=64, help="cells per axis, a multiple of 8 (default 64)")
    options = parser.parse_args()
    if options.resolution % 8 or min(options.steps, options.batch, options.resolution) <= 0:
        parser.error("steps and batch must be positive, resolution a positive multiple of 8")
    return options


def samples(entries: int, resolution: int, step: int, worker: int) -> Field:
    """Random heat, that no other step or worker sees."""
    shape = batch(batch=entries), spatial(x=resolution, y=resolution)
    return heat_rectangles(*shape, seed=step_seed(0, step, worker))
