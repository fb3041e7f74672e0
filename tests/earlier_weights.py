"""Folders of trained inverses as they were written before weights were in safetensors."""

from __future__ import annotations

import json
from pathlib import Path

import frameworks
import jax
import numpy as np
import torch

from phi_sip import NetworkSpec
from phi_sip.frameworks import training_framework
from phi_sip.training.checkpoints.manifest import NAME, write_manifest


def rewritten(framework: frameworks.Framework, folder: Path, spec: NetworkSpec) -> Path:
    """The file of weights in NumPy's, Keras' or PyTorch's own format, in a folder that says no format."""
    module = training_framework(framework.name)
    with framework.backend:
        net = spec.build()
        module.load_weights(net, folder)
    (folder / "weights.safetensors").unlink()
    if framework.name == "torch":
        torch.save(net.state_dict(), folder / "weights.pt")
    elif framework.name == "tensorflow":
        net.save_weights(folder / "model.weights.h5")
    else:
        leaves = jax.tree_util.tree_leaves(net.parameters)
        np.savez(folder / "weights.npz", **{f"{i:05d}": np.asarray(leaf) for i, leaf in enumerate(leaves)})
    before = json.loads((folder / NAME).read_text())["manifest"]
    (folder / NAME).unlink()
    content = {key: value for key, value in before["content"].items() if key != "format"}
    write_manifest(folder, before["step"], before["framework"], content)
    return folder
