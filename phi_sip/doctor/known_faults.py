"""Versions that are known not to work together, as a table."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.requirements import Requirement

from .faults import Fault
from .versions import Libraries

PHIFLOW = "pip install 'phiflow>=3.4,<4' 'phiml>=1.14.3,<2'"


@dataclass(frozen=True)
class KnownFault:
    """
    Attributes:
        versions: Where it occurs: all of these are installed.
        what: What happens there.
        remedy: The command that mends it.
    """

    versions: tuple[str, ...]
    what: str
    remedy: str

    def is_met_by(self, libraries: Libraries) -> bool:
        """Whether all of `versions` are installed."""
        return all(_holds(Requirement(text), libraries) for text in self.versions)


# Each of them seen to happen. A new one is a new row.
KNOWN: tuple[KnownFault, ...] = (
    KnownFault(("phiflow<3.4", "phiml>=1.15"), "PhiFlow before 3.4 does not import with PhiML 1.15 or later", PHIFLOW),
    KnownFault(("phiflow>=3.4", "phiml<1.14.1"), "PhiFlow 3.4 does not import with PhiML before 1.14.1", PHIFLOW),
    KnownFault(
        ("phiml<1.14.3", "numpy>=2"),
        "math.seed of PhiML before 1.14.3 raises a TypeError with NumPy 2 or later",
        PHIFLOW,
    ),
)


def known_faults(libraries: Libraries) -> list[Fault]:
    """The rows of `KNOWN` that this installation meets."""
    return [_fault(row, libraries) for row in KNOWN if row.is_met_by(libraries)]


def _fault(row: KnownFault, libraries: Libraries) -> Fault:
    here = ", ".join(str(libraries[Requirement(text).name]) for text in row.versions)
    return Fault(f"{row.what}. Installed: {here}.", row.remedy)


def _holds(requirement: Requirement, libraries: Libraries) -> bool:
    installed = libraries.get(requirement.name)
    return installed is not None and requirement.specifier.contains(installed.version, prereleases=True)
