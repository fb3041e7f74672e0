"""What this installation is made of, and what is wrong with it. Works where PhiFlow does not import."""

from .diagnosis import Diagnosis, diagnose
from .faults import Fault
from .looks import Look
from .versions import LIBRARIES, Installed, Library

__all__ = ["LIBRARIES", "Diagnosis", "Fault", "Installed", "Library", "Look", "diagnose"]
