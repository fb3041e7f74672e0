"""Records of training loops, for scripts; see `phi_sip.training.records`."""

from .training.records import TrainingRecord, load_records, save_records

__all__ = ["TrainingRecord", "load_records", "save_records"]
