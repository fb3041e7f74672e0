"""Training over hours: the loop, its records, what ends it, and what is saved."""

from .best import restore_best
from .callbacks import Callback
from .record_files import read_run
from .records import RunRecord, StepRecord, ValidationRecord
from .run import train
from .state import training_state
from .stopping import EarlyStopping, StoppingRule, Target, WallTime

__all__ = [
    "Callback",
    "EarlyStopping",
    "RunRecord",
    "StepRecord",
    "StoppingRule",
    "Target",
    "ValidationRecord",
    "WallTime",
    "read_run",
    "restore_best",
    "train",
    "training_state",
]
