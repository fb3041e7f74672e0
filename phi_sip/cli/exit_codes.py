"""What `phi-sip` tells the script that called it."""

from __future__ import annotations

from enum import IntEnum

from ..errors import (
    ConfigurationError,
    DuplicateNameError,
    NonFiniteError,
    ParameterError,
    SipError,
    TrainingError,
    UnknownNameError,
    UnsupportedError,
    UntrustedError,
)


class ExitCode(IntEnum):
    """
    The exit codes of all commands.

    Attributes:
        DONE: What was asked for is done, and nothing is wrong.
        FAULT: Something is wrong: a check has failed, `doctor` has found faults, a file cannot be read.
        USAGE: The command, its options or the experiment do not make sense; nothing has been done.
        DIVERGED: NaN or infinity met; what was saved before is intact.
        INTERRUPTED: Stopped by Ctrl-C.
        TERMINATED: Asked to end by SIGTERM, as schedulers do.
    """

    DONE = 0
    FAULT = 1
    USAGE = 2
    DIVERGED = 3
    INTERRUPTED = 130
    TERMINATED = 143


# The first that fits counts.
ERRORS: tuple[tuple[type[SipError], ExitCode], ...] = (
    (NonFiniteError, ExitCode.DIVERGED),
    (ConfigurationError, ExitCode.USAGE),
    (ParameterError, ExitCode.USAGE),
    (UnknownNameError, ExitCode.USAGE),
    (DuplicateNameError, ExitCode.USAGE),
    (UnsupportedError, ExitCode.USAGE),
    (UntrustedError, ExitCode.USAGE),
    (SipError, ExitCode.FAULT),
)


def exit_code_of(error: SipError) -> ExitCode:
    """Returns the exit code of an error; for a training that was ended by another error, the code of that one."""
    cause = error.__cause__
    if isinstance(error, TrainingError) and isinstance(cause, SipError):
        return exit_code_of(cause)
    return next(code for kind, code in ERRORS if isinstance(error, kind))
