"""What may change in an experiment file while its run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError
from ..training.differences import differences, said
from ..training.plain_data import plain
from .specification import Experiment, Network

# What weights and optimizer were made by, or what would have no effect on them any more. All else holds from the change
# on, and `train` reports it.
FIXED = (
    *("experiment.framework", "experiment.seed", "experiment.precision"),
    *("physics", "network", "optimizer.name", "optimizer.schedule.name", "training.solver"),
)

CASE_DOES_NOT_MATTER = ("optimizer.name", "optimizer.schedule.name")


def made_by(experiment: Experiment) -> dict[str, Any]:
    """Returns all that an experiment says, as it is kept with its run."""
    tables: dict[str, Any] = plain(experiment.model_dump())
    return tables


def check_goes_on(folder: Any, before: Mapping[str, Any], now: Experiment) -> None:
    """
    Compares an experiment file with what its run was begun with, if that is known.

    Raises:
        ConfigurationError: if something is another that cannot change; the message names all of it, with both values.
    """
    found = [entry for entry in differences(_with_inputs(before) or made_by(now), made_by(now)) if _is_another(*entry)]
    if found:
        raise ConfigurationError(
            f"The experiment of {folder} was changed since the run was begun, in what its weights depend on:\n"
            + "\n".join(f"- {said(entry)}" for entry in found)
            + "\n(there: as the run was begun; here: as the file says now.) Change it back, or begin another run with "
            "the file: phi-sip train FILE -o FOLDER"
        )


def _with_inputs(before: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a run was begun with; earlier versions did not say that the network is shown the observation."""
    if "network" not in before:
        return dict(before)
    return {**before, "network": {"inputs": Network().inputs, **before["network"]}}


def _is_another(key: str, before: Any, now: Any) -> bool:
    if key in CASE_DOES_NOT_MATTER and isinstance(before, str) and isinstance(now, str):
        return before.lower() != now.lower()
    return any(f"{key}.".startswith(f"{fixed}.") for fixed in FIXED)
