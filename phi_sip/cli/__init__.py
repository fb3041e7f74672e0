"""The command line `phi-sip`; needs the extra `cli`."""

from __future__ import annotations

import os
import sys

from .missing import what_brings

REPRODUCIBLE = ("train", "resume")  # commands that give the same in every process


def main() -> None:
    """Runs `phi-sip` with the arguments of this process and exits with an `ExitCode`."""
    try:
        from .app import app
    except ModuleNotFoundError as error:
        advice = what_brings(error)
        if not advice:
            raise
        print(advice, file=sys.stderr)
        sys.exit(2)
    if set(REPRODUCIBLE) & set(sys.argv[1:3]):
        _with_fixed_hashes()
    app(prog_name="phi-sip")


def _with_fixed_hashes() -> None:
    """Starts this process anew unless Python hashes alike each time: PhiML orders dims by hashes, sums depend on it."""
    if os.environ.get("PYTHONHASHSEED", "random") == "random":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
