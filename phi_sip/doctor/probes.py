"""
What is tried in a process of its own, so that no crash or hang can take the doctor down: libraries and plugins.

A process writes down what it tries before it tries it, so that this is known if it ends at once.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from ..errors import PluginWarning

LONGEST_CAUSE = 400  # characters
PLUGINS = "plugins"


class Journal:
    """A file with one JSON object per line: what begins, what is found, and how it ended."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def begins(self, stage: str) -> None:
        """Writes what is tried next."""
        self._write({"stage": stage})

    def finds(self, **found: Any) -> None:
        """Writes plain data."""
        self._write({"found": found})

    def ends(self, cause: BaseException | None = None) -> None:
        """Writes how it ended."""
        self._write({"ended": "" if cause is None else described(cause)})

    def _write(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def described(cause: BaseException) -> str:
    """Returns type and message of an error in one line."""
    return f"{type(cause).__name__}: {' '.join(str(cause).split())}"[:LONGEST_CAUSE]


def tensorflow_devices() -> dict[str, list[str]]:
    """Returns the devices that TensorFlow has found."""
    from tensorflow import config

    details = config.experimental.get_device_details
    return {
        "devices": [
            " ".join([device.name.removeprefix("/physical_device:"), details(device).get("device_name", "")]).strip()
            for device in config.list_physical_devices()
        ]
    }


def torch_devices() -> dict[str, list[str]]:
    """Returns the devices that PyTorch has found."""
    import torch

    cuda = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return {"devices": ["cpu", *cuda, *mps]}


def jax_devices() -> dict[str, list[str]]:
    """Returns the devices that JAX has found."""
    import jax

    return {"devices": [f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()]}


def keras_backend() -> dict[str, list[str]]:
    """Complains if Keras does not compute with TensorFlow."""
    import keras

    backend = keras.backend.backend()
    complaint = (
        f"Keras computes with '{backend}', so that networks of PhiML cannot be trained on TensorFlow. "
        'Unset KERAS_BACKEND, or write "backend": "tensorflow" in ~/.keras/keras.json.'
    )
    return {} if backend == "tensorflow" else {"complaints": [complaint]}


# By distribution: statements that must work, one after the other, and what is found out once they do.
LIBRARY_PROBES: dict[str, dict[str, Callable[[], dict[str, list[str]]]]] = {
    "phiml": {"from phiml import math": dict, "from phiml import math; math.seed(0)": dict},
    "phiflow": {"import phi.flow": dict},
    "tensorflow": {
        "import tensorflow": tensorflow_devices,
        "import tensorflow; tensorflow.keras.Model": dict,
        "import phi.tf": dict,
    },
    "keras": {"import keras": keras_backend},
    "torch": {"import torch": torch_devices, "import phi.torch": dict},
    "jax": {"import jax": dict, "import jax; jax.devices()": jax_devices, "import phi.jax": dict},
    "optax": {"import optax": dict},
}
PROBES = (*LIBRARY_PROBES, PLUGINS)


def import_library(name: str, journal: Journal) -> None:
    """Runs the statements of `LIBRARY_PROBES`, as `python -c` would."""
    for statement, find in LIBRARY_PROBES[name].items():
        journal.begins(statement)
        exec(statement, {})
        journal.finds(**find())


def load_plugins(journal: Journal) -> None:
    """Loads each plugin by itself first, so that one that ends the process is named; then all, as `phi_sip` does."""
    from ..plugins.manager import create_plugin_manager, get_plugin_manager

    blocked = create_plugin_manager([])
    for entry in entry_points(group="phi_sip"):
        if not blocked.is_blocked(entry.name):
            origin = entry.dist.name if entry.dist else "an unknown distribution"
            journal.begins(f"load plugin '{entry.name}' of {origin}")
            with contextlib.suppress(Exception, SystemExit):
                entry.load()
    journal.begins("collect what plugins register")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        manager = get_plugin_manager()
        try:
            from ..plugins.registry import available_networks, available_physics, available_solvers

            journal.finds(physics=available_physics(), solvers=available_solvers(), networks=available_networks())
        finally:
            failures = [
                {"plugin": failure.name, "distribution": failure.distribution, "cause": described(failure.cause)}
                for failure in manager.failures
            ]
            isolated = [str(failure) for failure in manager.failures]
            complaints = [str(warning.message) for warning in caught if issubclass(warning.category, PluginWarning)]
            journal.finds(
                loaded=len(manager.get_plugins()),
                failures=failures,
                complaints=[text for text in complaints if not any(failure in text for failure in isolated)],
            )


def main(name: str, path: str) -> None:
    """Makes the probe of that name, and writes down in a file how it ended."""
    journal = Journal(path)
    warnings.simplefilter("ignore")
    try:
        if name == PLUGINS:
            load_plugins(journal)
        else:
            import_library(name, journal)
    except (Exception, SystemExit) as cause:
        journal.ends(cause)
    else:
        journal.ends()
