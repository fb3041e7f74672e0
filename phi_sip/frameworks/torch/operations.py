"""PyTorch: real Fourier and cosine transforms and vector–Jacobian products."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ...contract.operations import SymmetricSystem

COMPILES = False
COMPILES_OPERATIONS = False


def rfftn(values: torch.Tensor, rank: int) -> torch.Tensor:
    return torch.fft.rfftn(values, dim=tuple(range(-rank, 0)), norm="ortho")


def irfftn(coefficients: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    return torch.fft.irfftn(coefficients, s=tuple(sizes), dim=tuple(range(-len(sizes), 0)), norm="ortho")


def dct(values: torch.Tensor) -> torch.Tensor:
    """
    X_n = √(2/N) Re W_n and X_{N−n} = −√(2/N) Im W_n for n ≤ N/2, X_0 by √½ of that, where

        W_n = exp(−iπ n / 2N) · FFT(even cells, then odd ones backwards)_n

    Source: J. Makhoul, "A fast cosine transform in one and two dimensions", IEEE Trans. ASSP 28, 1980.
    """
    n = values.shape[-1]
    reordered = torch.cat([values[..., ::2], values[..., 1::2].flip(-1)], -1)
    turned = torch.fft.rfft(reordered) * _quarter_turns(values, n).conj()
    low, high = turned.real, -turned.imag[..., 1 : (n + 1) // 2].flip(-1)
    return torch.cat([low, high], -1) * _dct_norm(values, n)


def idct(coefficients: torch.Tensor) -> torch.Tensor:
    """Makes the steps of `dct` backwards."""
    n = coefficients.shape[-1]
    unscaled = coefficients / _dct_norm(coefficients, n)
    mirrored = torch.cat([torch.zeros_like(unscaled[..., :1]), unscaled[..., 1:].flip(-1)], -1)
    half = n // 2 + 1
    turned = torch.complex(unscaled[..., :half], -mirrored[..., :half])
    reordered = torch.fft.irfft(turned * _quarter_turns(coefficients, n), n)
    even, odd = reordered[..., : (n + 1) // 2], reordered[..., (n + 1) // 2 :].flip(-1)
    pairs = torch.stack([even, torch.nn.functional.pad(odd, (0, n % 2))], -1)
    return pairs.flatten(-2)[..., :n]


def _quarter_turns(like: torch.Tensor, n: int) -> torch.Tensor:
    """Returns exp(iπ k / 2N) for k ≤ N/2."""
    angles = torch.arange(n // 2 + 1, dtype=like.dtype, device=like.device) * (math.pi / (2 * n))
    return torch.polar(torch.ones_like(angles), angles)


def _dct_norm(like: torch.Tensor, n: int) -> torch.Tensor:
    scale = torch.full((n,), math.sqrt(2 / n), dtype=like.dtype, device=like.device)
    scale[0] = math.sqrt(1 / n)
    return scale


def vjp(function: Callable[..., list[Any]], inputs: Sequence[Any]) -> tuple[list[Any], Any]:
    with torch.enable_grad():
        inputs = [torch.as_tensor(value).detach().requires_grad_() for value in inputs]
        outputs = function(*inputs)

    def pullback(cotangents: Sequence[Any]) -> list[Any]:
        connected = [(out, cot) for out, cot in zip(outputs, cotangents, strict=True) if out.requires_grad]
        if not connected:
            return [torch.zeros_like(value) for value in inputs]
        ends, cots = zip(*connected, strict=True)
        return list(
            torch.autograd.grad(ends, inputs, cots, retain_graph=True, allow_unused=True, materialize_grads=True)
        )

    return outputs, pullback


def vmap(function: Callable[[Any], list[Any]], stack: Any) -> list[Any]:
    try:
        return list(torch.vmap(function)(stack))
    except RuntimeError:  # derivatives that are written by hand have no rule for it; what is wrong fails again
        return [torch.stack(results) for results in zip(*map(function, stack), strict=True)]


def linearize(function: Callable[[Any], Any], x: Any) -> tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]:
    """
    Returns f(x), d ↦ J d by reverse mode applied twice and v ↦ Jᵀ v by reverse mode, neither of which simulates again.

    PyTorch's own forward mode lacks rules for what interpolates, e.g. semi-Lagrangian advection.
    """
    with torch.enable_grad():
        x = torch.as_tensor(x).detach().requires_grad_()
        y = function(x)
        v = torch.zeros_like(y).requires_grad_()
        gradient = _pull(y, x, v, create_graph=True) if y.requires_grad else x * 0 + v.sum() * 0
    return (
        y.detach(),
        lambda d: _pull(gradient, v, d, retain_graph=True),
        lambda u: _pull(y, x, u, retain_graph=True) if y.requires_grad else torch.zeros_like(x),
    )


def _pull(outputs: torch.Tensor, inputs: torch.Tensor, cotangent: torch.Tensor, **options: bool) -> torch.Tensor:
    return torch.autograd.grad(outputs, inputs, cotangent, allow_unused=True, materialize_grads=True, **options)[0]


class _ImplicitSolve(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, system: SymmetricSystem, b: torch.Tensor, *coefficients: torch.Tensor) -> torch.Tensor:
        u = system.solve(coefficients, b)
        ctx.system = system
        ctx.save_for_backward(u, *coefficients)
        return u

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        u, *coefficients = ctx.saved_tensors
        w = _ImplicitSolve.apply(ctx.system, cotangents[0], *coefficients)
        return None, w, *(-product for product in ctx.system.products(u, w))


def implicit_solve(system: SymmetricSystem, coefficients: Sequence[Any], b: Any) -> Any:
    return _ImplicitSolve.apply(system, torch.as_tensor(b), *(torch.as_tensor(c) for c in coefficients))


def hessian(objective: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """Returns gradient (rows, n) and Hessian (rows, n, n) of an objective with one value per row."""
    with torch.enable_grad():
        x = torch.as_tensor(x).detach().requires_grad_()
        values = objective(x)
        if not values.requires_grad:
            return torch.zeros_like(x), x.new_zeros((*x.shape, x.shape[1]))
        gradient = _pull(values, x, torch.ones_like(values), create_graph=True)
        if not gradient.requires_grad:
            return gradient, x.new_zeros((*x.shape, x.shape[1]))
        ones = torch.ones_like(values.reshape(-1))
        rows = [_pull(gradient[:, i], x, ones, retain_graph=True) for i in range(x.shape[1])]
    return gradient.detach(), torch.stack(rows, 1)


def repeated(step: Callable[[Any], Any], state: Any, count: int) -> Any:
    for _ in range(count):
        state = step(state)
    return state


def eigh(matrices: Any) -> tuple[Any, Any]:
    values, vectors = torch.linalg.eigh(matrices)
    return values, vectors


def where_rows(flags: Any, values: Any, others: Any) -> Any:
    return torch.where(flags.reshape(-1, *(1 for _ in values.shape[1:])), values, others)


def tanh(values: Any) -> Any:
    return torch.tanh(values)


def fold(step: Callable[[Any, Any, Any], Any], constants: Any, state: Any, numbers: Sequence[float]) -> Any:
    for number in numbers:
        state = step(constants, state, number)
    return state


def compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function as it is: eager PyTorch measured best."""
    return function


def drop_operations() -> None:
    """Does nothing, as no operation is compiled by itself."""
