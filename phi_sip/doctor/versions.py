"""What is installed, read from the metadata of distributions: nothing is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True)
class Library:
    """
    What an installation is made of.

    Attributes:
        title: As people call it.
        distribution: As pip calls it.
        variants: Other distributions that bring the same packages.
    """

    title: str
    distribution: str
    variants: tuple[str, ...] = ()


LIBRARIES: tuple[Library, ...] = (
    Library("phi_sip", "phi-sip"),
    Library("PhiFlow", "phiflow"),
    Library("PhiML", "phiml"),
    Library("TensorFlow", "tensorflow", ("tensorflow-cpu", "tensorflow-rocm", "tf-nightly")),
    Library("Keras", "keras", ("keras-nightly",)),
    Library("PyTorch", "torch"),
    Library("JAX", "jax"),
    Library("jaxlib", "jaxlib"),
    Library("optax", "optax"),
    Library("NumPy", "numpy"),
    Library("SciPy", "scipy"),
)


@dataclass(frozen=True)
class Installed:
    """The distribution that brings a library."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def installed_libraries() -> dict[str, Installed]:
    """Returns those of `LIBRARIES` that are installed, by `Library.distribution`."""
    found = {library.distribution: _installed(library) for library in LIBRARIES}
    return {name: installed for name, installed in found.items() if installed is not None}


def _installed(library: Library) -> Installed | None:
    for name in (library.distribution, *library.variants):
        found = version_of(name)
        if found is not None:
            return Installed(name, found)
    return None


def version_of(distribution: str) -> str | None:
    """Returns the version of a distribution, or `None` if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


Libraries = Mapping[str, Installed]
