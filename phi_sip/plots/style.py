"""What all figures share: colours that all can tell apart, lines and marks, labels of axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.image import AxesImage
from matplotlib.ticker import LogFormatter

from ..text.printable import in_one_line

# Okabe and Ito, "Color Universal Design", 2008; the line styles tell the curves apart in black and white.
STYLES = (("#D55E00", "-"), ("#0072B2", "--"), ("#009E73", "-."), ("#CC79A7", ":"), ("#000000", (0, (5, 1, 1, 1))))
# The rest of Okabe and Ito's colours, but yellow; then Paul Tol's wine, indigo and olive, which all can tell apart too.
COLORS = (*(color for color, _ in STYLES), "#E69F00", "#56B4E9", "#882255", "#332288", "#999933")
MARKERS = "osD^vP*X<>hp"
DASHES = ("-", "--", "-.", ":")
LEVELS = ((0, (6, 2, 1, 2)), (0, (1, 1)), (0, (6, 2, 1, 2, 1, 2)))
FAR_BELOW = 1e-4
LABELS = {
    "x_l2": "½ ‖x − x*‖²  (mean over batch)",
    "y_l2": "½ ‖y − y*‖²  (mean over batch)",
    "loss": "½ ‖x − x̃‖²",
    "risk": "estimated risk − that of the inverse",
}


class DecimalLogFormatter(LogFormatter):
    """Writes 0.2 and 20 rather than 2·10⁻¹ and 2·10¹."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def as_label(name: str) -> str:
    """Returns a name as figures show it: Matplotlib finds no formula in it, and does not leave it out of legends."""
    shown = in_one_line(name, longest=60).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def label_log_axis(axis: Axis) -> None:
    """Labels a logarithmic axis by decimal numbers, also between the powers of ten where there is room."""
    axis.set_major_formatter(DecimalLogFormatter(minor_thresholds=(2, 0.5)))
    axis.set_minor_formatter(DecimalLogFormatter(minor_thresholds=(2, 0.5)))


def draw_level(axes: Axes, value: float, label: str, number: int = 0) -> None:
    """
    Draws what does not change over the steps, such as the error of the inverse alone, as a level line on a logarithmic
    axis. Where it is far below all that is drawn there, a text at the foot says so in its place.
    """
    style: dict[str, Any] = {"color": "0.35", "linestyle": LEVELS[number % len(LEVELS)], "lw": 1.6, "zorder": 1}
    if value > FAR_BELOW * axes.dataLim.minposy:
        axes.axhline(value, label=label, **style)
    else:
        text, place = f"↓ {label}: {value:.1g}", (0.02, 0.03 + 0.07 * number)
        axes.annotate(text, place, xycoords="axes fraction", color=style["color"])


def show_cells(
    axes: Axes, values: np.ndarray, colors: str, low: float | None = None, high: float | None = None
) -> AxesImage:
    """Shows values, axes (x, y), between two bounds, by default the least and the greatest of them."""
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    return axes.imshow(values.T, origin="lower", cmap=colors, vmin=low, vmax=high)
