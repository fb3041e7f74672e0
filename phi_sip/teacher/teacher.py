"""The teacher of a network: the average of its weights, and what that has simulated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from shutil import copyfile
from typing import Any, NamedTuple

import numpy as np
from phiml.backend import Backend

from ..errors import CheckpointError, ParameterError
from .average import WeightAverage
from .replay import FILE as BUFFER
from .replay import ReplayBuffer, Replayed

FILE = "teacher.json"
LARGEST = 16 << 20  # bytes of that file


class _Saved(NamedTuple):
    """
    A replay buffer in a folder.

    Attributes:
        folder: Where it is.
        batches: The sizes of the batch dims of each of its batches.
        knows_physics: Whether the parameters of the physics of each were written, too.
    """

    folder: Path
    batches: Sequence[Mapping[str, int]]
    knows_physics: bool


class Teacher:
    """
    The exponential moving average of the weights of a network, and a replay buffer of observations that were simulated
    of its answers. The average answers better than the last weights, and changes slowly enough to be learned from:

        θ̄ ← d θ̄ + (1 − d) θ

    Give it to `sip_update_weights` or `train`, which keep it up to date, and ask the network within `answering()`:

        teacher = Teacher(net)
        sip_update_weights(net, optimizer, physics, y, inputs=inputs, targets=SelfSimulated(), teacher=teacher)
        with teacher.answering():
            x = predict_state(net, physics, y, inputs=inputs)

    Args:
        net: Network.
        decay: Limit of d, in [0, 1). The average is over about 1 / (1 − decay) updates, and over the last tenth of
            all at the beginning.

    Raises:
        ParameterError: if `decay` is out of range.
        UnsupportedError: if no plugin knows the network.

    Source: Tarvainen, Valpola, "Mean teachers are better role models", NeurIPS 2017.
    """

    def __init__(self, net: Any, decay: float = 0.99) -> None:
        self.average, self.buffer = WeightAverage(net, decay), ReplayBuffer()
        self._due = 0  # number of updates at which new observations are simulated
        self._saved: _Saved | None = None

    @property
    def net(self) -> Any:
        """The network."""
        return self.average.net

    @property
    def decay(self) -> float:
        """Limit of d."""
        return self.average.decay

    def answering(self) -> AbstractContextManager[None]:
        """Gives the network the averaged weights for the duration of a block."""
        return self.average.answering()

    def take_over(self) -> None:
        """Gives the network the averaged weights for good, at the end of a training."""
        self.average.take_over()

    def check(self, net: Any) -> None:
        """
        Checks that it is the teacher of a network.

        Raises:
            ParameterError: if it was made for another one.
        """
        if net is not self.net:
            raise ParameterError("teacher=... was made for another network. Make one for this: Teacher(net).")

    def next_batch(
        self, make: Callable[[bool], Sequence[Replayed]], most: int, replays: int, backend: Backend
    ) -> Replayed:
        """
        Returns simulated observations for one update. New ones are made until the buffer is full, and after that as
        often as it takes for each to be used in `replays` updates.

        Args:
            make: Makes batches, by what the averaged network answers if it is given `True`.
            most: How many batches are kept.
            replays: How often each is used, on average.
            backend: Where they are.
        """
        if self._saved is not None:
            saved, like = self._saved, _without_drawing(make)[0]
            self.buffer.load(saved.folder, saved.batches, like, backend, saved.knows_physics)
            self._saved = None
        is_full = len(self.buffer) >= most
        if not is_full or self.average.updates >= self._due:
            made = make(is_full)
            self.buffer.add(made, most)
            self._due = self.average.updates + replays * min(len(made), most)
        return self.buffer.draw()

    @contextmanager
    def undone_unless(self, applied: Callable[[], bool]) -> Iterator[None]:
        """Puts the buffer back as it was, unless the block ends with an update that was applied."""
        buffer, due, saved = self.buffer.copy(), self._due, self._saved
        kept = False
        try:
            yield
            kept = applied()
        finally:
            if not kept:
                self.buffer, self._due, self._saved = buffer, due, saved

    def save(self, folder: Path) -> None:
        """Writes average and buffer into an empty folder."""
        self.average.save(folder)
        batches: Sequence[Mapping[str, int]] = ()
        knows_physics = True
        if self._saved is not None:
            before, batches, knows_physics = self._saved
            copyfile(before / BUFFER, folder / BUFFER)
        elif self.buffer:
            batches = self.buffer.save(folder)
        about = {"updates": self.average.updates, "due": self._due, "batches": batches, "physics": knows_physics}
        (folder / FILE).write_text(json.dumps(about))

    def load(self, folder: Path) -> None:
        """
        Reads what `save` wrote; the buffer when it is used next, as only then it is known what is in it.

        Raises:
            CheckpointError: if there is none, or that of another network.
        """
        updates, due, saved = _about(folder)
        self.average.load(folder, updates)
        self.buffer, self._due, self._saved = ReplayBuffer(), due, saved if saved.batches else None


def _without_drawing(make: Callable[[bool], Sequence[Replayed]]) -> Sequence[Replayed]:
    """Makes batches for their dims, and leaves the random numbers as they are."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        return make(False)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _about(folder: Path) -> tuple[int, int, _Saved]:
    """Returns the number of updates, that at which new observations are simulated, and what the buffer held."""
    try:
        if (folder / FILE).stat().st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST} bytes")
        about = json.loads((folder / FILE).read_text())
        batches = [{str(name): _count(size) for name, size in sizes.items()} for sizes in about["batches"]]
        saved = _Saved(folder, batches, about.get("physics") is True)
        return _count(about["updates"]), _count(about["due"]), saved
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{folder} holds no teacher: {FILE} cannot be read: {error!r}.") from error


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no number of something")
    return value
