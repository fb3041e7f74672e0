"""PyTorch: the tensors of a `state_dict`, by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...errors import UnsupportedError
from ...storage.sizes import check_archive
from ...storage.tensors import read_tensors, write_tensors
from .call import call_module, evaluating, modules_of

FILE = "weights.safetensors"
PICKLE = "weights.pt"  # of earlier versions: read as tensors only


def save(net: Any, folder: Path) -> None:
    """Writes weights and batch statistics into a folder."""
    write_tensors(folder / FILE, _arrays(net.state_dict()))


def load(net: Any, folder: Path) -> None:
    """Gives a network of the same kind what `save` wrote."""
    state = net.state_dict()
    if (folder / PICKLE).exists():
        size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
        check_archive(folder / PICKLE, len(state), size)
        state = torch.load(folder / PICKLE, map_location="cpu", weights_only=True)
    else:  # into the dict of the network, which knows the versions of its modules
        for name, array in read_tensors(folder / FILE, _arrays(state)).items():
            state[name] = _tensor(array, state[name])
    net.load_state_dict(state)
    net.eval()


def _arrays(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """
    Returns the bits of all tensors of a `state_dict`.

    Raises:
        UnsupportedError: if one of them is no array of numbers.
    """
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor):
            raise UnsupportedError(
                f"{name} in the state of the network is a {type(tensor).__name__}. Only tensors are saved: keep other "
                f"things out of its state_dict, and set them where the network is made."
            )
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.dtype == torch.complex32:
            kind = f"{str(tensor.layout).removeprefix('torch.')} {str(tensor.dtype).removeprefix('torch.')}"
            raise UnsupportedError(
                f"{name} of the network is a tensor of the kind {kind}, which has no form in the files of weights. Use "
                f"a dense tensor of real or complex numbers, and make sparse or quantized ones from it."
            )
    return {name: _array(tensor) for name, tensor in state.items()}


def _array(tensor: Any) -> np.ndarray:
    """Returns the bits of a tensor in NumPy's type of the same name, if need be of `ml_dtypes`."""
    import ml_dtypes  # noqa: F401

    data = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8).numpy()
    array: np.ndarray = data.view(str(tensor.dtype).removeprefix("torch.")).reshape(tuple(tensor.shape))
    return array


def _tensor(array: np.ndarray, like: Any) -> Any:
    """Returns the tensor of which `_array` returned the bits."""
    return torch.from_numpy(array.reshape(-1).view(np.uint8)).view(like.dtype).reshape(like.shape)


def trained(net: Any) -> list[np.ndarray]:
    """Returns copies of the parameters that are trained."""
    return [_array(parameter).copy() for parameter in _parameters(net)]


def set_trained(net: Any, weights: Sequence[np.ndarray]) -> None:
    """Gives the parameters that are trained these values."""
    with torch.no_grad():
        for parameter, value in zip(_parameters(net), weights, strict=True):
            parameter.copy_(_tensor(value, parameter))


def _parameters(net: Any) -> list[Any]:
    return [p for module in modules_of(net) for p in module.parameters() if p.requires_grad]


def state(net: Any) -> list[Any]:
    """Returns copies of all parameters and buffers."""
    return [tensor.detach().clone() for tensor in _tensors(net)]


def set_state(net: Any, state: Sequence[Any]) -> None:
    """Gives all parameters and buffers these values."""
    with torch.no_grad():
        for tensor, value in zip(_tensors(net), state, strict=True):
            tensor.copy_(value)


def tensor_like(native: Any, array: np.ndarray) -> Any:
    """Returns an array as a tensor on the device of another one."""
    return torch.as_tensor(array, device=native.device)


def _tensors(net: Any) -> list[Any]:
    return [tensor for module in modules_of(net) for tensor in (*module.parameters(), *module.buffers())]


def evaluation(net: Any) -> Callable[[Any], Any]:
    """Returns the network as it is used for inference, as a function of native tensors."""

    def evaluate(native: Any) -> Any:
        with evaluating(net):
            return call_module(net, native)

    return evaluate
