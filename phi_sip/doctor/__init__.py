"""What this installation is made of, and what is wrong with it. Works where PhiFlow does not import."""

from .diagnosis import Diagnosis, diagnose
from .faults import Fault
from .known_faults import KNOWN, KnownFault
from .looks import Look
from .versions import LIBRARIES, Installed, Library

__all__ = ["KNOWN", "LIBRARIES", "Diagnosis", "Fault", "Installed", "KnownFault", "Library", "Look", "diagnose"]
