"""
Measures how well SIP trains: the main example, run in full, must reach some bounds. Exits with 1 if it does not.

    python benchmarks/training.py                 # all rows, about 20 minutes on two cores
    python benchmarks/training.py --row noise
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from phi_sip.records import load_records

EXAMPLE = Path(__file__).parent.parent / "examples" / "heat_inversion.py"


@dataclass(frozen=True)
class Row:
    """Flags of the example, and bounds on the x loss at the end: SIP's own, and ratios."""

    flags: tuple[str, ...]
    sip: float = float("inf")
    sip_to_supervised: float = float("inf")
    dp_to_sip: float = 0.0


ROWS = {
    "tensorflow": Row(("--framework", "tensorflow"), sip=22.0, sip_to_supervised=1.06, dp_to_sip=1.25),
    "torch": Row(("--framework", "torch"), sip=18.4, sip_to_supervised=1.06, dp_to_sip=1.25),
    "noise": Row(
        ("--framework", "torch", "--noise", "1e-3", "--batch", "32", "--steps", "150"),
        sip_to_supervised=1.15,
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", choices=ROWS, action="append", help="only this row; may be repeated")
    names = parser.parse_args().row or list(ROWS)
    table = Table(title="x loss, mean of the last 10 steps, and its bounds")
    for column in ("row", "SIP", "SIP ÷ supervised", "DP ÷ SIP", "reached"):
        table.add_column(column, justify="left" if column == "row" else "right")
    reached = [measure(name, ROWS[name], table) for name in names]
    Console().print(table)
    return 0 if all(reached) else 1


def measure(name: str, row: Row, table: Table) -> bool:
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, str(EXAMPLE), "--supervised", "--output", output, *row.flags]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        sip, dp, supervised = (record.final("x_l2") for record in load_records(Path(output) / "records.json"))
    ratios = sip / supervised, dp / sip
    reached = sip < row.sip and ratios[0] <= row.sip_to_supervised and ratios[1] >= row.dp_to_sip
    table.add_row(
        name,
        f"{sip:.2f} (< {row.sip:g})",
        f"{ratios[0]:.3f} (≤ {row.sip_to_supervised:g})",
        f"{ratios[1]:.3f} (≥ {row.dp_to_sip:g})",
        "yes" if reached else "NO",
    )
    return reached


if __name__ == "__main__":
    sys.exit(main())
