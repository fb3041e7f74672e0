"""The command line `phi-sip`; needs the extra `cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs `phi-sip` with the arguments of this process and exits with an `ExitCode`."""
    try:
        from .app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print(
            f"phi-sip needs {error.name}, which is not installed. Install it: pip install 'phi-sip[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    app(prog_name="phi-sip")
