"""Reports of runs, from their folders alone."""

from .comparison import Row, compare
from .page import write_report

__all__ = ["Row", "compare", "write_report"]
