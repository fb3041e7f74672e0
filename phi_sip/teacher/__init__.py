"""What teaches a network besides the physics: the average of its own weights, and what that has simulated."""

from .average import WeightAverage
from .replay import ReplayBuffer, Replayed
from .teacher import Teacher

__all__ = ["ReplayBuffer", "Replayed", "Teacher", "WeightAverage"]
