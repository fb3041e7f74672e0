"""What differs between a run as it was begun and as it goes on, and what may."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, RunFolderError
from ..text.printable import shortened
from .plain_data import plain

# What the weights and the state of the optimizer mean something for. All else may change from one part of a run to the
# next, and is reported.
FIXED = ("framework", "physics", "inputs", "solver", "precision", "network", "optimizer", "schedule")
REPORTED = ("layers", "settings", "plan", "made_by")
LONGEST = 200  # characters of a value in a message

Difference = tuple[str, Any, Any]


def check_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """
    Compares what cannot change while a run goes on.

    Raises:
        CheckpointError: if it has another optimizer.
        RunFolderError: if it has anything else of another kind.
    """
    another = {key: list(differing(key, before, now)) for key in FIXED}
    found = [f"another {key}: {'; '.join(map(_within, entries))}" for key, entries in another.items() if entries]
    if not found:
        return
    message = f"{folder} holds a run with {', '.join(found)}."
    if [key for key, entries in another.items() if entries] == ["optimizer"]:
        raise CheckpointError(f"{message} Make network and optimizer as they were when the run began.")
    raise RunFolderError(f"{message} Go on with what it was begun with, or give another folder.")


def differing(key: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Returns the differences at a key and below, if both say something there."""
    if before.get(key) is None or now.get(key) is None:
        return []
    return list(differences(before[key], now[key], key))


def differences(before: Any, now: Any, at: str = "") -> Iterator[Difference]:
    """Yields keys at which two trees of plain data differ, with both values; `None` where one has no such key."""
    before, now = plain(before), plain(now)
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(key for key in now if key not in before)]:
            yield from differences(before.get(key), now.get(key), f"{at}.{key}" if at else key)
    elif before != now and json.dumps(before) != json.dumps(now):  # NaN is not equal to itself
        yield at, before, now


def said(difference: Difference) -> str:
    """Says a difference in words."""
    key, before, now = difference
    there, here = (shortened(json.dumps(value), LONGEST) for value in (before, now))
    return f"{f'{key}: ' if key else ''}{there} there, {here} here"


def _within(difference: Difference) -> str:
    """Says a difference in words, without the first part of its key."""
    key, before, now = difference
    return said((key.partition(".")[2], before, now))
