"""What a network is drawn to: one file per target."""

from .half_inverse import HalfInverse
from .labels import Labels
from .local_inverse import LocalInverse
from .resolve import resolve_target
from .self_simulated import SelfSimulated
from .transforms import RandomTransform

__all__ = ["HalfInverse", "Labels", "LocalInverse", "RandomTransform", "SelfSimulated", "resolve_target"]
