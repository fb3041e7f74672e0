"""Replicas of a network in TensorFlow's distribution strategies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from ...errors import UnsupportedError


@dataclass(frozen=True)
class Replicas:
    """The replicas of the strategy in whose `run` this is called, see `Workers`."""

    count: int

    @staticmethod
    def here() -> Replicas | None:
        """
        Returns the replicas; `None` if there is but one.

        Raises:
            UnsupportedError: if there are several, but this is not called in one of them, or not in a graph.
        """
        count = tf.distribute.get_strategy().num_replicas_in_sync
        if count == 1:
            return None
        if tf.distribute.get_replica_context() is None or tf.executing_eagerly():
            raise UnsupportedError(
                f"The strategy has {count} replicas, each of which must make the update, and in one graph. Call "
                f"sip_update_weights in strategy.run, in a tf.function(autograph=False)."
            )
        return Replicas(count)

    def sum(self, native: Any) -> Any:
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, native)

    def max(self, native: Any) -> Any:
        """Reduces by sums: the strategies have no other reduction than sums and means."""
        context = tf.distribute.get_replica_context()
        mine = tf.one_hot(context.replica_id_in_sync_group, self.count, dtype=native.dtype)
        return tf.reduce_max(self.sum(tf.tensordot(mine, native, 0)), 0)

    def any_failed(self, failed: bool) -> bool:
        """
        Returns `failed`: a failure stops the making of a graph; in the graph `restore_unless` reduces what it finds.
        """
        return failed


def assign(variables: list[Any], values: list[Any]) -> None:
    """Gives variables new values, in any strategy; those that are averaged when read, each replica its own."""
    values_of = [v if isinstance(v, tf.Variable) else v.value for v in variables]  # Keras wraps them
    local = [is_local(variable) for variable in values_of]
    for variable, value, own in zip(values_of, values, local, strict=True):
        if own:
            variable.assign(value)
    shared = [(v, x) for v, x, own in zip(values_of, values, local, strict=True) if not own]
    tf.__internal__.distribute.interim.maybe_merge_call(
        _assign_shared, tf.distribute.get_strategy(), [v for v, _ in shared], [x for _, x in shared]
    )


def is_local(variable: Any) -> bool:
    """Tells whether each replica has a value of its own, as those of batch statistics."""
    return bool(getattr(variable, "synchronization", None) == tf.VariableSynchronization.ON_READ)


def _assign_shared(strategy: Any, variables: list[Any], values: list[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        strategy.extended.update(variable, lambda own, new: own.assign(new), args=(value,), group=False)
