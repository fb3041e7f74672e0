"""Experiments as TOML files: read, checked, built and run."""

from .building import Built, build
from .reading import read_experiment, write_experiment
from .specification import Experiment

__all__ = ["Built", "Experiment", "build", "read_experiment", "write_experiment"]
