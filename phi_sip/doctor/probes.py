"""What the doctor looks at, by name: libraries by their distribution, and the plugins."""

from __future__ import annotations

from collections.abc import Callable

from . import imports
from .journal import Journal
from .plugins import load_plugins

PLUGINS = "plugins"
PROBES: dict[str, Callable[[Journal], None]] = {
    "phiml": imports.phiml,
    "phiflow": imports.phiflow,
    "tensorflow": imports.tensorflow,
    "keras": imports.keras,
    "torch": imports.torch,
    "jax": imports.jax,
    "optax": imports.optax,
    PLUGINS: load_plugins,
}
