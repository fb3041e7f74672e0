"""
Looks at one thing in a process of its own, so that no crash or hang can take the doctor down.

    python -m phi_sip.doctor.child NAME JOURNAL

Writes a `Journal`.
"""

from __future__ import annotations

import sys
import warnings

from .journal import Journal
from .probes import PROBES


def main(name: str, path: str) -> None:
    """Looks, and writes down how it ended."""
    journal = Journal(path)
    warnings.simplefilter("ignore")
    try:
        PROBES[name](journal)
    except (Exception, SystemExit) as cause:
        journal.ends(cause)
    else:
        journal.ends()


if __name__ == "__main__":
    main(*sys.argv[1:])
