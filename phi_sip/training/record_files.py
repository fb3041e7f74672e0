"""The records of a run in its folder: `run.json` and `records.jsonl`, written, read and checked."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ..errors import RecordError
from ..storage.atomic import written_file
from ..text.printable import in_one_line, sentence
from .records import SAVED, RunRecord, StepRecord, ValidationRecord

RECORDS, INFO = "records.jsonl", "run.json"
KINDS_OF_INFO = {"id": str, SAVED: int, "plan": dict, "settings": dict, "made_by": dict, "changes": list}
REMEDY = "Restore it, or remove it and go on with the run: the newest checkpoint says the same."
LARGEST_RECORDS, LARGEST_INFO, LONGEST_LINE = 1 << 30, 16 << 20, 1 << 16  # bytes; a million steps have 0.2e9

FURTHER = "further"  # numbers by name, where there are any
Record = StepRecord | ValidationRecord
KINDS: dict[str, type[Record]] = {"step": StepRecord, "validation": ValidationRecord}
_KIND_OF = {cls: kind for kind, cls in KINDS.items()}


def line_of(record: Record) -> str:
    """Returns the line of `records.jsonl` for a record."""
    values = {name: value for name, value in asdict(record).items() if name != FURTHER or value}
    return json.dumps({"kind": _KIND_OF[type(record)], **values}, allow_nan=False) + "\n"


def write_info(folder: Path, info: Mapping[str, Any]) -> None:
    """Writes `run.json`."""
    with written_file(folder / INFO) as path:
        path.write_text(json.dumps(info, indent=1))


def write_records(folder: Path, run: RunRecord) -> None:
    """Writes `records.jsonl` anew, in the order in which things happened."""
    records: list[Record] = [*run.steps, *run.validations]
    records.sort(key=lambda record: record.step)
    with written_file(folder / RECORDS) as path:
        path.write_text("".join(map(line_of, records)))


def read_run(folder: str | Path) -> RunRecord:
    """
    Reads the records of a run, and puts them in the order of their steps. A last line that was torn, as the process was
    killed, is left out.

    Args:
        folder: Folder of the run.

    Raises:
        RecordError: if there is no run in it, a line that is not the last cannot be read, or a file is larger than the
            records of a run are.
    """
    folder = Path(folder)
    info = read_info(folder)
    name = info.get("name")
    run = RunRecord(in_one_line(name) if isinstance(name, str) and name.strip() else folder.name, info)
    path = folder / RECORDS
    try:
        _check_size(path, LARGEST_RECORDS)
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
                if len(line) == LONGEST_LINE:
                    raise RecordError(f"{path}, line {number} is not a record: it is too long.")
                if line.endswith(b"\n"):
                    record = _parse(line, f"{path}, line {number}")
                    (run.steps if isinstance(record, StepRecord) else run.validations).append(record)  # type: ignore[arg-type]
    except FileNotFoundError:
        return run
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error}.") from error
    for records in (run.steps, run.validations):
        records.sort(key=lambda record: record.step)
    return run


def _check_size(path: Path, largest: int) -> None:
    """Raises `OSError` if a file is larger than what is read."""
    size = path.stat().st_size
    if not path.is_file() or size > largest:
        raise OSError(f"it is no file, or has {size} bytes and therefore more than the {largest} that are read")


def read_info(folder: Path) -> dict[str, Any]:
    """
    Reads `run.json`.

    Raises:
        RecordError: if it is not there, cannot be read, or says what none says.
    """
    path = folder / INFO
    try:
        _check_size(path, LARGEST_INFO)
        info = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise RecordError(f"{path.parent} is not the folder of a run: it has no {path.name}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"{path} cannot be read: {sentence(error)} {REMEDY}") from error
    if not isinstance(info, dict):
        raise RecordError(f"{path} cannot be read: it holds a {type(info).__name__} in place of an object. {REMEDY}")
    for key, kind in KINDS_OF_INFO.items():
        if key in info and type(info[key]) is not kind:
            raise RecordError(f"{path} cannot be read: '{key}' is {info[key]!r:.100}, not a {kind.__name__}. {REMEDY}")
    return info


def _parse(line: bytes, where: str) -> Record:
    try:
        values = json.loads(line.decode())
        cls = KINDS[values.pop("kind")]
        record = cls(**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RecordError(f"{where} is not a record: {error!r}. Remove this line, or restore the file.") from error
    for entry in fields(record):
        if not _is_right(entry.name, getattr(record, entry.name)):
            raise RecordError(
                f"{where} is not a record: {entry.name} is {getattr(record, entry.name)!r:.100}. Remove this line, or "
                f"restore the file."
            )
    return record


def _is_right(name: str, value: Any) -> bool:
    """Tells whether a value may stand there: steps are counted, the rest are finite, and some may be unknown."""
    if name == "step":
        return type(value) is int and 0 <= value < 2**63
    if name == FURTHER:
        return type(value) is dict and all(_is_right("", number) for number in value.values())
    if value is None:
        return name in ("x_l2", "risk", "learning_rate")
    return type(value) in (int, float) and abs(value) < sys.float_info.max
