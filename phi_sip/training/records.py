"""What happened in a training run: plain numbers, as they are in its folder."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ..errors import RecordError
from ..records import TrainingRecord
from ..text.printable import in_one_line, sentence

QUANTITIES = ("x_l2", "y_l2")  # errors of a validation
RECORDS, INFO = "records.jsonl", "run.json"
SAVED = "saved"  # key of run.json: the step of the last checkpoint
KINDS_OF_INFO = {"id": str, SAVED: int, "plan": dict, "settings": dict, "made_by": dict, "changes": list}
REMEDY = "Restore it, or remove it and go on with the run: the newest checkpoint says the same."
LARGEST_RECORDS, LARGEST_INFO, LONGEST_LINE = 1 << 30, 16 << 20, 1 << 16  # bytes; a million steps have 0.2e9


@dataclass(frozen=True)
class StepRecord:
    """
    One training step. Losses are means over the batch of sums over cells.

    Attributes:
        step: Its number, from 1.
        elapsed: Seconds of training up to its end, those before an interruption included.
        seconds: Of this step, its data included.
        loss: Proxy loss ½ ‖x − x̃‖².
        y_l2: ½ ‖y − y*‖².
        x_l2: ½ ‖x − x_true‖²; `None` where the truth is not known.
        learning_rate: Of this step, if the optimizer tells.
    """

    step: int
    elapsed: float
    seconds: float
    loss: float
    y_l2: float
    x_l2: float | None = None
    learning_rate: float | None = None


@dataclass(frozen=True)
class ValidationRecord:
    """
    The network on samples that it is not trained on, after `step` steps.

    Attributes:
        step: Number of training steps before.
        elapsed: Seconds of training before.
        y_l2: ½ ‖P(x) − y*‖².
        x_l2: ½ ‖x − x_true‖²; `None` where the truth is not known.
    """

    step: int
    elapsed: float
    y_l2: float
    x_l2: float | None = None


@dataclass(frozen=True)
class RunRecord:
    """
    A training run.

    Attributes:
        name: For legends.
        info: What is known about it, see `run.json`: framework, physics, versions.
        steps: One per step.
        validations: One per validation.
    """

    name: str
    info: dict[str, Any] = field(default_factory=dict)
    steps: list[StepRecord] = field(default_factory=list)
    validations: list[ValidationRecord] = field(default_factory=list)

    @property
    def last_step(self) -> int:
        """Number of steps done: that of the last record or of the last checkpoint, if its records are lost."""
        saved = self.info.get(SAVED, 0)
        return max(self.steps[-1].step if self.steps else 0, saved if type(saved) is int else 0)

    @property
    def elapsed(self) -> float:
        """Seconds of training."""
        return self.steps[-1].elapsed if self.steps else 0.0

    def errors(self, quantity: str) -> list[float]:
        """The validation errors `x_l2` or `y_l2`, one per validation, all of which must know it."""
        return [getattr(record, quantity) for record in self.validations]

    def best(self, quantity: str, after: int = 0) -> ValidationRecord | None:
        """The first validation with the least error, of those after so many steps; `None` if there is none."""
        known = [record for record in self.validations if getattr(record, quantity) is not None and record.step > after]
        return min(known, key=lambda record: getattr(record, quantity), default=None)

    def up_to(self, step: int) -> RunRecord:
        """What had happened after so many steps."""
        return RunRecord(
            self.name,
            {key: min(value, step) if key == SAVED else value for key, value in self.info.items()},
            [record for record in self.steps if record.step <= step],
            [record for record in self.validations if record.step <= step],
        )

    def as_training_record(self) -> TrainingRecord:
        """The steps as lists of numbers, as `phi_sip.plots` takes them."""
        return TrainingRecord(
            self.name,
            loss=[record.loss for record in self.steps],
            x_l2=[float("nan") if record.x_l2 is None else record.x_l2 for record in self.steps],
            y_l2=[record.y_l2 for record in self.steps],
            seconds=[record.seconds for record in self.steps],
        )


Record = TypeVar("Record", StepRecord, ValidationRecord)
KINDS: dict[str, type[StepRecord] | type[ValidationRecord]] = {"step": StepRecord, "validation": ValidationRecord}
_KIND_OF = {cls: kind for kind, cls in KINDS.items()}


def line_of(record: StepRecord | ValidationRecord) -> str:
    """The line of `records.jsonl` for a record."""
    return json.dumps({"kind": _KIND_OF[type(record)], **asdict(record)}, allow_nan=False) + "\n"


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
    """Measures a file before it is read."""
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


def _parse(line: bytes, where: str) -> StepRecord | ValidationRecord:
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
    """Steps are counted; the rest are finite numbers, of which some need not be known."""
    if name == "step":
        return type(value) is int and 0 <= value < 2**63
    if value is None:
        return name in ("x_l2", "learning_rate")
    return type(value) in (int, float) and abs(value) < sys.float_info.max
