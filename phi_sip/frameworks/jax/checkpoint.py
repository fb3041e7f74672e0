"""JAX: the trees of weights and optimizer state, by orbax."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, ClassVar

import jax
from jax.tree_util import tree_flatten, tree_leaves, tree_unflatten

from ...contract.training_state import Layout, TrainingState
from ...errors import UnsupportedError
from .trainable import JaxTrainable

FOLDER = "state"


class JaxState(TrainingState):
    """A network of `phiml.nn` and its optimizer. Learning-rate schedules belong to the optax transformation."""

    framework: ClassVar[str] = "jax"

    def __init__(self, net: Any, optimizer: Any, schedule: Any) -> None:
        if schedule is not None:
            raise UnsupportedError(
                "schedule=... is for PyTorch. Give an optax schedule to the transformation: "
                "optax.adam(optax.cosine_decay_schedule(1e-3, steps))."
            )
        if jax.process_count() > 1:
            raise UnsupportedError(
                "phi_sip.train runs one process, with any number of devices. With several processes write the loop "
                "around sip_update_weights, as in examples/distributed."
            )
        self._holder = JaxTrainable(net, optimizer)
        super().__init__(self._holder)
        self._given = dict(self._hyperparameters)

    @property
    def learning_rate(self) -> float | None:
        """Known if the transformation keeps it in its state, as `optax.inject_hyperparams` does."""
        known = self._hyperparameters
        return float(known["learning_rate"]) if "learning_rate" in known else None

    def layout(self) -> Layout:
        leaves = tree_leaves(self.net.parameters)
        return [[list(leaf.shape), str(leaf.dtype)] for leaf in leaves]

    def save(self, folder: Path) -> None:
        with self._checkpointer() as checkpointer:
            checkpointer.save((folder / FOLDER).absolute(), self._arrays(self._holder.variables))

    def restore(self, folder: Path) -> None:
        leaves, structure = tree_flatten(self._holder.variables)
        with self._checkpointer() as checkpointer:
            arrays = checkpointer.restore((folder / FOLDER).absolute(), self._arrays(self._holder.variables))
        restored = [
            array if hasattr(leaf, "dtype") else type(leaf)(array)
            for leaf, array in zip(leaves, arrays.values(), strict=True)
        ]
        self._holder.variables = tree_unflatten(structure, restored)

    def description(self) -> dict[str, Any]:
        """Describes the kinds of the states of a transformation; what its functions depend on cannot be seen."""
        kinds = list(_kinds(getattr(self.optimizer, "state", None)))
        kind = ", ".join(kinds) or type(self.optimizer).__name__
        settings = {name: float(value) for name, value in self._given.items() if self._is_number(name)}
        return {"optimizer": kind, "schedule": "none", "settings": settings}

    def take_over(self, settings: Collection[str]) -> None:
        new = {name: self._given[name] for name in settings if name in self._given}
        if new:
            state = self.optimizer.state
            self.optimizer.state = state._replace(hyperparams={**state.hyperparams, **new})

    @property
    def _hyperparameters(self) -> dict[str, Any]:
        """Those of `optax.inject_hyperparams`, which are part of the state."""
        return getattr(getattr(self.optimizer, "state", None), "hyperparams", {})

    def _is_number(self, name: str) -> bool:
        """Tells whether a hyperparameter is one, and does not follow a schedule."""
        scheduled = getattr(self.optimizer.state, "hyperparams_states", {})
        return name not in scheduled and getattr(self._given[name], "shape", ()) == ()

    def _arrays(self, tree: Any) -> dict[str, Any]:
        leaves = tree_leaves(tree)
        return {f"{number:05d}": jax.numpy.asarray(leaf) for number, leaf in enumerate(leaves)}

    def _checkpointer(self) -> Any:
        try:
            import orbax.checkpoint
        except ModuleNotFoundError as error:
            raise UnsupportedError(
                "Checkpoints of JAX networks are written by orbax. Install it: pip install 'phi-sip[jax]'."
            ) from error
        return orbax.checkpoint.StandardCheckpointer()


def _kinds(state: Any) -> Iterator[str]:
    """Yields the names of the states of a chain of optax transformations."""
    if isinstance(state, tuple):
        if hasattr(state, "_fields"):
            yield type(state).__name__
        for part in state:
            yield from _kinds(part)
