"""Imports the libraries, and asks each for its devices. Runs in a process of its own."""

from __future__ import annotations

from .journal import Journal

_OTHER_BACKEND = (
    "Keras computes with '{backend}', so that networks of PhiML cannot be trained on TensorFlow. "
    'Unset KERAS_BACKEND, or write "backend": "tensorflow" in ~/.keras/keras.json.'
)


def phiml(journal: Journal) -> None:
    journal.begins("from phiml import math")
    from phiml import math

    journal.begins("from phiml import math; math.seed(0)")
    math.seed(0)


def phiflow(journal: Journal) -> None:
    journal.begins("import phi.flow")
    import phi.flow  # noqa: F401


def tensorflow(journal: Journal) -> None:
    journal.begins("import tensorflow")
    import tensorflow

    details = tensorflow.config.experimental.get_device_details
    journal.finds(
        devices=[
            " ".join([device.name.removeprefix("/physical_device:"), details(device).get("device_name", "")]).strip()
            for device in tensorflow.config.list_physical_devices()
        ]
    )
    journal.begins("import tensorflow; tensorflow.keras.Model")
    tensorflow.keras.Model  # noqa: B018
    journal.begins("import phi.tf")
    import phi.tf  # noqa: F401


def keras(journal: Journal) -> None:
    journal.begins("import keras")
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        journal.finds(complaints=[_OTHER_BACKEND.format(backend=backend)])


def torch(journal: Journal) -> None:
    journal.begins("import torch")
    import torch

    cuda = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    journal.finds(devices=["cpu", *cuda, *mps])
    journal.begins("import phi.torch")
    import phi.torch  # noqa: F401


def jax(journal: Journal) -> None:
    journal.begins("import jax")
    import jax

    journal.begins("import jax; jax.devices()")
    journal.finds(devices=[f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()])
    journal.begins("import phi.jax")
    import phi.jax  # noqa: F401


def optax(journal: Journal) -> None:
    journal.begins("import optax")
    import optax  # noqa: F401
