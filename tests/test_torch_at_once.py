"""What is asked of many PyTorch tensors at once is what would be asked of each of them."""

from __future__ import annotations

import pytest
import torch

from phi_sip.frameworks.torch.at_once import all_equal, all_finite, finite

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128]


def tensors(device: str) -> list[torch.Tensor]:
    """Finite ones of many kinds."""
    numbers = [torch.ones(3, 5, dtype=kind, device=device) for kind in TYPES]
    sparse = torch.ones(4, 4, device=device).to_sparse()
    largest = torch.full((2,), torch.finfo(torch.float32).max, device=device)
    others = [torch.zeros(0, device=device), torch.ones((), device=device), torch.arange(3, device=device)]
    conjugate = torch.complex(largest, largest).conj()  # its absolute value is not finite
    return [*numbers, sparse, largest, conjugate, torch.tensor([True], device=device), *others]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", TYPES)
def test_one_number_that_is_not_finite_is_found(device, bad, kind):
    assert all_finite(tensors(device))
    wrong = torch.ones(70_000, dtype=kind, device=device)
    wrong[69_998] = bad
    for place in (0, 8):
        several = tensors(device)
        several.insert(place, wrong)
        assert not all_finite(several)
    assert not all_finite([wrong.to_sparse()])
    assert int((~finite(wrong)).sum()) == 1


def test_nothing_is_finite():
    assert all_finite([])
    assert all_equal([])


@pytest.mark.parametrize("device", DEVICES)
def test_one_number_that_differs_is_found(device):
    dense = [tensor for tensor in tensors(device) if tensor.layout == torch.strided]
    assert all_equal([(tensor, tensor.clone()) for tensor in dense])
    for tensor in (tensor for tensor in dense if tensor.numel()):
        other = tensor.clone()
        other.view(-1)[-1] = 0
        assert not all_equal([(dense[0], dense[0]), (tensor, other)])
    assert not all_equal([(dense[2], dense[2].double())])
    assert not all_equal([(torch.ones(3, 1, device=device), torch.ones(3, device=device))])
    undefined = torch.full((2,), float("nan"), device=device)
    assert not all_equal([(undefined, undefined)])
