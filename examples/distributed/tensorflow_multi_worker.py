"""
Train a network to invert heat conduction on several machines: TensorFlow's MultiWorkerMirroredStrategy.

One process per machine, with all GPUs that it has. TF_CONFIG tells each process of all; on one machine:

    for i in 0 1; do TF_CONFIG='{"cluster": {"worker": ["localhost:41001", "localhost:41002"]}, "task": {"type": "worker", "index": '$i'}}' python examples/distributed/tensorflow_multi_worker.py --steps 50 --batch 32 & done; wait
"""  # noqa: E501

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from arguments import parse_arguments

if __name__ == "__main__":
    options = parse_arguments(__doc__)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()  # before PhiFlow starts TensorFlow
    from tensorflow_training import train

    train(strategy, options, prints=strategy.cluster_resolver.task_id == 0)
