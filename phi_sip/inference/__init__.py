"""Trained inverses: saved, loaded elsewhere, and used on files."""

from .loading import load_inverse
from .on_files import invert_file
from .saving import save_inverse
from .trained import Inversion, TrainedInverse

__all__ = ["Inversion", "TrainedInverse", "invert_file", "load_inverse", "save_inverse"]
