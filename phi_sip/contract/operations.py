"""Native operations that PhiML lacks: real transforms, derivatives and compilation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

PullBackOfTensors = Callable[[Sequence[Any]], list[Any]]
Linear = Callable[[Any], Any]
Step = Callable[[Any, Any, Any], Any]
ScanStep = Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]]


class SymmetricSystem(Protocol):
    """
    A linear system A(c) u = b on native tensors, with A symmetric and linear in the coefficients c, a tuple of tensors.
    It is hashable: equal systems compute the same.
    """

    def multiply(self, coefficients: Sequence[Any], u: Any) -> Any:
        """Computes A(c) u."""

    def products(self, u: Any, v: Any) -> Sequence[Any]:
        """Computes the derivatives of ⟨v, A(c) u⟩ by each of c."""

    def solve(self, coefficients: Sequence[Any], b: Any) -> Any:
        """Computes u with A(c) u = b."""


class Operations(Protocol):
    """
    Operations on native tensors of one framework.

    Attributes:
        COMPILES: Whether `compile` makes another function, which computes only what it was compiled for.
        COMPILES_OPERATIONS: Whether each operation is compiled by itself for each new size, which costs more time and
            memory than to compile a computation as a whole.
    """

    COMPILES: bool
    COMPILES_OPERATIONS: bool

    def drop_operations(self) -> None:
        """Drops all operations that are compiled one by one."""

    def rfftn(self, values: Any, rank: int) -> Any:
        """Computes the orthonormal real Fourier transform of the last `rank` axes; the last is halved to n // 2 + 1."""

    def irfftn(self, coefficients: Any, sizes: Sequence[int]) -> Any:
        """Computes the inverse of `rfftn`: real values of `sizes` along the last axes."""

    def dct(self, values: Any) -> Any:
        """Computes the orthonormal cosine transform of type II over the last axis."""

    def idct(self, coefficients: Any) -> Any:
        """Computes the inverse of `dct`."""

    def vjp(self, function: Callable[..., list[Any]], inputs: Sequence[Any]) -> tuple[list[Any], PullBackOfTensors]:
        """
        Evaluates `function(*inputs)` and returns its outputs with the map from output cotangents to input cotangents,
        which may be used any number of times.
        """

    def vmap(self, function: Callable[[Any], list[Any]], stack: Any) -> list[Any]:
        """
        Computes a function of each of the native tensors along the first axis of `stack`, all at once where the
        framework can. What it returns has this axis in front.
        """

    def linearize(self, function: Callable[[Any], Any], x: Any) -> tuple[Any, Linear, Linear]:
        """Returns f(x), d ↦ J d and v ↦ Jᵀ v with J = ∂f/∂x; both maps may be used any number of times."""

    def implicit_solve(self, system: SymmetricSystem, coefficients: Sequence[Any], b: Any) -> Any:
        """
        Computes u with A(c) u = b. Derivatives of any order are by the implicit function theorem, which takes a further
        solution for each and never differentiates `solve`.
        """

    def hessian(self, objective: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
        """Returns gradient (rows, n) and Hessian (rows, n, n) at x (rows, n) of an objective with one value per row."""

    def repeated(self, step: Callable[[Any], Any], state: Any, count: int) -> Any:
        """
        Computes step(… step(state)), `count` times, of a native tensor or a tuple of them; it can be differentiated.
        Where it is compiled, it is compiled as a loop, in a time that does not depend on `count`.
        """

    def eigh(self, matrices: Any) -> tuple[Any, Any]:
        """Returns eigenvalues (…, n) and eigenvectors (…, n, n), in columns, of symmetric matrices."""

    def where_rows(self, flags: Any, values: Any, others: Any) -> Any:
        """Returns the rows of `values` for which the flags, shape (rows,), hold, and of `others` for which not."""

    def tanh(self, values: Any) -> Any:
        """Computes the hyperbolic tangent; PhiML's on JAX is NumPy's, which cannot be compiled."""

    def fold(self, step: Step, constants: Any, state: Any, numbers: Sequence[float]) -> Any:
        """
        Computes `state = step(constants, state, number)` for each number, in a loop where the framework compiles loops
        faster than what is in them many times over. It has all derivatives.

        Args:
            step: Returns the next state, of the same shapes and types. It is hashable: equal steps compute the same.
            constants, state: Native tensors, or tuples of them.
            numbers: In the precision of the first tensor of `state`.
        """

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function of native tensors of certain sizes and types, compiled where that pays."""


class CompilingOperations(Operations, Protocol):
    """Operations of frameworks that compile, `COMPILES`: loops within what is being compiled."""

    def repeated_one_of(
        self, step: Callable[[Any], Any], state: Any, counts: Sequence[int], which: Any, differentiable: bool
    ) -> Any:
        """
        Computes what `repeated` does, `counts[which]` times, where `which`, a native integer, is known only when what
        is compiled runs. It need not have derivatives if it is not `differentiable`, and may be compiled sooner then.
        """

    def scan(
        self, step: ScanStep, state: list[Any], first: list[Any], inputs: list[Any], count: int
    ) -> tuple[list[Any], list[Any]]:
        """
        Computes (state, outputs_i) = step(state, inputs_i) for i < count, of lists of native tensors, as a loop that
        takes no longer to compile for more steps; it can be differentiated.

        Args:
            step: Returns the next state, of the same shapes and types, and what is kept of the step, like `first`.
            state: Before these steps.
            first: What was kept of a step before these.
            inputs: inputs_i is row i of each of them.
            count: Number of steps.

        Returns:
            The state after the last step, and what was kept, each with one row for each step; `first` is row 0.
        """
