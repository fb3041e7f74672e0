"""Trained inverses: saved, loaded elsewhere, and used on files."""

from .on_files import invert_file
from .trained import Inversion, TrainedInverse, load_inverse, save_inverse

__all__ = ["Inversion", "TrainedInverse", "invert_file", "load_inverse", "save_inverse"]
