"""Everything that the doctor looks at, and what is wrong with it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Any

from .faults import Fault, failures
from .looks import Look, look_at
from .probes import PLUGINS, PROBES
from .requirements import unmet_requirements
from .versions import Installed, installed_libraries


@dataclass(frozen=True)
class Diagnosis:
    """
    The state of an installation.

    Attributes:
        python: Version of Python.
        system: Operating system and processor.
        libraries: What is installed, by the distribution in `LIBRARIES`.
        looks: What happened when it was imported, by the same names, and `plugins`.
        faults: What is wrong, causes before consequences.
    """

    python: str
    system: str
    libraries: dict[str, Installed]
    looks: dict[str, Look]
    faults: tuple[Fault, ...]

    @property
    def plugins(self) -> dict[str, Any]:
        """What plugins registered: `loaded`, `physics`, `solvers`, `networks`, `failures`, `complaints`, if known."""
        return self.looks[PLUGINS].found


def diagnose(seconds: float = 120.0) -> Diagnosis:
    """
    Looks at versions, requirements, imports, devices and plugins of this installation.

    Imports nothing in this process.

    Args:
        seconds: Time limit for each import.
    """
    libraries = installed_libraries()
    looks = look_at([name for name in PROBES if name in (*libraries, PLUGINS)], seconds)
    unmet = unmet_requirements(libraries)
    faults = (*unmet, *failures(looks, versions_are_wrong=bool(unmet)))
    return Diagnosis(
        platform.python_version(), platform.platform(), libraries, {look.name: look for look in looks}, faults
    )
