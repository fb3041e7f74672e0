"""Writes a run into its folder while it goes on: JSON lines, CSV and samples, always."""

from __future__ import annotations

import csv
import os
from contextlib import ExitStack, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import TextIO

from ..storage.atomic import written_file
from .callbacks import Arrays, Callback
from .record_files import FURTHER, RECORDS, line_of, write_info, write_records
from .records import RunRecord, StepRecord, ValidationRecord
from .run_folder import STEPS, write_samples

COLUMNS = [field.name for field in fields(StepRecord) if field.name != FURTHER]


class RunFiles(Callback):
    """Each step is in `records.jsonl` and `steps.csv` before the next begins."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run = RunRecord(folder.name)
        self._open = ExitStack()
        self._files: tuple[TextIO, TextIO] | None = None
        self._complete = False

    def on_start(self, run: RunRecord) -> None:
        """Takes out what came after the checkpoint from which the run goes on: it will happen again."""
        self._run = run
        write_info(self._folder, run.info)
        self._write_all()

    def on_step(self, record: StepRecord) -> None:
        self._write(record)

    def on_validation(self, record: ValidationRecord, samples: Arrays) -> None:
        self._write(record)
        if samples:
            write_samples(self._folder, samples)

    def on_checkpoint(self, step: int) -> None:
        """Brings the records to the disk before the checkpoint, which says that they are there."""
        if not self._complete:
            self._write_all()
        for file in self._files or ():
            file.flush()
            os.fsync(file.fileno())

    def on_end(self, run: RunRecord, reason: str) -> None:
        with suppress(OSError):  # of what could not be written: it was told when that happened
            self._open.close()
        write_info(self._folder, {**run.info, "ended": reason})

    def _write_all(self) -> None:
        """Writes all of it anew, also after a line could not be written, or in part only."""
        with suppress(OSError):
            self._open.close()
        write_records(self._folder, self._run)
        with written_file(self._folder / STEPS) as path, path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(asdict(record) for record in self._run.steps)
        self._files = (
            self._open.enter_context((self._folder / RECORDS).open("a")),
            self._open.enter_context((self._folder / STEPS).open("a", newline="")),
        )
        self._complete = True

    def _write(self, record: StepRecord | ValidationRecord) -> None:
        assert self._files is not None, "the run has begun"
        lines, table = self._files
        whole, self._complete = self._complete, False
        lines.write(line_of(record))
        lines.flush()
        if isinstance(record, StepRecord):
            csv.DictWriter(table, COLUMNS, extrasaction="ignore").writerow(asdict(record))
            table.flush()
        self._complete = whole
