"""The state of a run with the least validation error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import CheckpointError, ParameterError
from ..teacher import Teacher
from .checkpointer import restore
from .checkpoints import CheckpointStore
from .lock import CHECKPOINTS
from .record_files import read_run
from .records import ValidationRecord
from .run_info import is_of_another
from .state import training_state
from .stopping import check_quantity


def restore_best(
    folder: str | Path, net: Any, optimizer: Any, quantity: str, schedule: Any = None, teacher: Teacher | None = None
) -> ValidationRecord:
    """
    Gives a network and its optimizer the state that had the least validation error in a run with `keep_best`, since
    that was first asked for.

    Args:
        folder: Folder of the run.
        net: Network of the run, or one like it that has been evaluated once.
        optimizer: Its optimizer.
        quantity: `"x_l2"`, `"y_l2"` or `"risk"`, as given for `keep_best`.
        schedule: As in `train`.
        teacher: As in `train`; it gets its state of that step as well.

    Returns:
        The validation of that state.

    Raises:
        RecordError: if there is no run in the folder.
        ParameterError: if no validation knows this error.
        CheckpointError: if the state is not there, damaged, or that of another run, step or network; then nothing is
            changed.
    """
    check_quantity("restore_best", "quantity", quantity)
    run = read_run(folder)
    best = run.best_kept(quantity)
    if best is None:
        raise ParameterError(f"restore_best: no validation of the run in {folder} knows {quantity}.")
    store = CheckpointStore(Path(folder) / CHECKPOINTS)
    place = store.place(best.step)
    if not place.exists():
        raise CheckpointError(
            f"{folder} does not hold the state after step {best.step}, which has the least {quantity}. Train with "
            f"keep_best='{quantity}'."
        )
    if is_of_another(store.read(best.step), run):
        raise CheckpointError(f"{place} is the checkpoint of another run. Put that of this run back in its place.")
    restore(training_state(net, optimizer, schedule), place, teacher)
    return best
