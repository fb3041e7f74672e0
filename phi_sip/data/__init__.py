"""Data to train and test with: random fields, fields in files, and batches that are made ahead of time."""

from .batches import Batch, as_batch, by_step
from .photographs import LUMINANCE, PICTURES, heat_photograph_samples, heat_photographs
from .points import point_source_samples, point_sources
from .prefetch import prefetched
from .rectangles import heat_rectangle_samples, heat_rectangles
from .samples import Samples
from .seeds import step_seed
from .smooth import smooth_field_samples, smooth_fields
from .stored import StoredData, scenes, stored

__all__ = [
    "LUMINANCE",
    "PICTURES",
    "Batch",
    "Samples",
    "StoredData",
    "as_batch",
    "by_step",
    "heat_photograph_samples",
    "heat_photographs",
    "heat_rectangle_samples",
    "heat_rectangles",
    "point_source_samples",
    "point_sources",
    "prefetched",
    "scenes",
    "smooth_field_samples",
    "smooth_fields",
    "step_seed",
    "stored",
]
