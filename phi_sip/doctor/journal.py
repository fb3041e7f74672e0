"""What a process writes down while it looks at something, so that it is known if the process ends at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LONGEST_CAUSE = 400  # characters


class Journal:
    """A file with one JSON object per line: what begins, what is found, and how it ended."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def begins(self, stage: str) -> None:
        """What is tried next."""
        self._write({"stage": stage})

    def finds(self, **found: Any) -> None:
        """Plain data."""
        self._write({"found": found})

    def ends(self, cause: BaseException | None = None) -> None:
        """How it ended."""
        self._write({"ended": "" if cause is None else described(cause)})

    def _write(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def described(cause: BaseException) -> str:
    """Type and message of an error, in one line."""
    return f"{type(cause).__name__}: {' '.join(str(cause).split())}"[:LONGEST_CAUSE]
