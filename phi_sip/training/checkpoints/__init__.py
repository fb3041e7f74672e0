"""Checkpoints that are whole or not there at all: written atomically, checksummed, versioned."""

from .manifest import FORMAT, Manifest
from .store import CheckpointStore

__all__ = ["FORMAT", "CheckpointStore", "Manifest"]
