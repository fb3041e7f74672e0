"""What distributions ask for, and do not get: versions that are known not to work are none that `phi-sip` asks for."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import distribution

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .faults import Fault
from .versions import Installed, Libraries, version_of

OURSELVES = "phi-sip"


def unmet_requirements(libraries: Libraries) -> list[Fault]:
    """Returns a fault for all that `phi-sip` asks for, or libraries ask of each other, and is not installed so."""
    if OURSELVES not in libraries:
        return [Fault(f"{OURSELVES} is not installed, so no one registers its physics.", f"pip install {OURSELVES}")]
    return [
        _fault(owner, requirement, found)
        for owner in libraries.values()
        for requirement in _requirements(owner.distribution, libraries)
        for found in [_version(requirement.name, libraries)]
        if found is None or not requirement.specifier.contains(found, prereleases=True)
    ]


def _requirements(owner: str, libraries: Libraries) -> Iterator[Requirement]:
    """
    Yields all requirements of `phi-sip`, and those of others that concern libraries.

    What an extra of `phi-sip` asks for counts where it is installed, as no one can tell which extras were.
    """
    metadata = distribution(owner)
    extras = (metadata.metadata.get_all("Provides-Extra") or []) if owner == OURSELVES else []
    for requirement in map(Requirement, metadata.requires or []):
        is_library = canonicalize_name(requirement.name) in libraries
        always, sometimes = _applies(requirement.marker, ""), any(_applies(requirement.marker, e) for e in extras)
        if (always and owner == OURSELVES) or ((always or sometimes) and is_library):
            yield requirement


def _applies(marker: Marker | None, extra: str) -> bool:
    return marker is None or marker.evaluate({"extra": extra})


def _version(name: str, libraries: Libraries) -> str | None:
    installed = libraries.get(canonicalize_name(name))
    return installed.version if installed else version_of(name)


def _fault(owner: Installed, requirement: Requirement, found: str | None) -> Fault:
    wanted = f"{requirement.name}{requirement.specifier}"
    here = f"{requirement.name} {found} is installed" if found else "it is not installed"
    return Fault(f"{owner} asks for {wanted}, but {here}.", f"pip install '{wanted}'")
