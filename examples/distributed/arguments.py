"""The arguments that all examples of this folder have."""

from __future__ import annotations

import argparse


def parse_arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    return parse(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=50, help="weight updates (default 50)")
    parser.add_argument("--batch", type=int, default=32, help="samples per update, of all workers (default 32)")
    parser.add_argument("--resolution", type=int, default=64, help="cells per axis, a multiple of 8 (default 64)")


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    options = parser.parse_args()
    if options.resolution % 8 or min(options.steps, options.batch, options.resolution) <= 0:
        parser.error("steps and batch must be positive, resolution a positive multiple of 8")
    return options
