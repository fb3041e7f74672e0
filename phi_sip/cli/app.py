"""
`phi-sip`: a group of commands, each in a file of its own that is imported when it is called or listed.

A command is a function that typer understands, in the file of its name next to this one: `phi-sip doctor` is
`doctor.doctor`. Such a file imports nothing heavy at its top (no phi, phiml, TensorFlow, PyTorch, JAX), but inside its
functions, so that `phi-sip --help` is fast and `phi-sip doctor` works where PhiFlow does not. Its docstring is the
help: a sentence, then examples. It raises `SipError` where something is wrong, and `typer.Exit(ExitCode...)` where it
has said so itself.
"""

from __future__ import annotations

import difflib
import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from .. import __version__
from ..errors import SipError
from ..interrupts import Terminated
from .exit_codes import ExitCode, exit_code_of
from .missing import what_brings
from .output import print_error, warnings_as_messages

# In the order of `phi-sip --help`.
COMMANDS: tuple[str, ...] = (
    "train",
    "resume",
    "report",
    "compare",
    "invert",
    "physics",
    "check",
    "doctor",
)


class Commands(TyperGroup):
    """Commands that are imported when they are needed, and errors without a traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            close = difflib.get_close_matches(cmd_name, COMMANDS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            ctx.fail(f"No command is named '{cmd_name}'.{hint} Commands: {', '.join(COMMANDS)}.")
        module = importlib.import_module(f".{cmd_name}", __package__)
        alone = typer.Typer(add_completion=False)
        alone.command(cmd_name)(getattr(module, cmd_name))
        return get_command(alone)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command. Errors end as one message and an exit code, unless `--debug` asks for the traceback."""
        if ctx.params["debug"]:
            return super().invoke(ctx)
        try:
            with warnings_as_messages():
                return super().invoke(ctx)
        except SipError as error:
            print_error(str(error))
            raise typer.Exit(exit_code_of(error)) from error
        except ImportError as error:
            cause = f"{type(error).__name__}: {error}"
            unknown = f"{cause}. Find out what is wrong with this installation: phi-sip doctor"
            print_error(what_brings(error) or unknown)
            raise typer.Exit(ExitCode.FAULT) from error
        except Terminated:
            print_error("Terminated.")
            raise typer.Exit(ExitCode.TERMINATED) from None
        except KeyboardInterrupt:
            print_error("Interrupted.")
            raise typer.Exit(ExitCode.INTERRUPTED) from None


app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"phi-sip {__version__}")
        raise typer.Exit


@app.callback()
def phi_sip(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="PHI_SIP_DEBUG", help="Show where an error came from.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """
    Train networks to invert simulations, look at them, and use them.

    Exit codes: 0 done, 1 something is wrong, 2 wrong usage or configuration,
    3 NaN or infinity met, 130 interrupted, 143 terminated.

    \b
    Examples:
      phi-sip train --quick
      phi-sip doctor
      phi-sip physics heat
      phi-sip check heat diffusivity=1.0 time=2.0
    """
