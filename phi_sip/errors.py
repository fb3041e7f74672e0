"""Errors and warnings of `phi_sip`. Every message says what happened, why, and what to change."""

from .text.printable import printable


class SipError(Exception):
    """Base of all errors of `phi_sip`. Texts from files in its message cannot control a terminal."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ParameterError(SipError, ValueError):
    """An argument is out of the range in which the equation is defined, or does not fit the others."""


class BoundaryError(SipError, ValueError):
    """A field has boundary conditions that the physics does not cover."""


class GridMismatchError(SipError, ValueError):
    """Two fields must have the same grid, but have different ones."""


class NonFiniteError(SipError, ArithmeticError):
    """A number is NaN or infinite. The update that computed it has been undone."""


class NetworkOutputError(SipError, ValueError):
    """The network returned something that is no state of the physics."""


class UnsupportedError(SipError, TypeError):
    """There is no implementation for this type of network, optimizer or data."""


class UnknownNameError(SipError, LookupError):
    """No plugin has registered an object of this name."""


class DuplicateNameError(SipError, ValueError):
    """Two plugins have registered different objects under one name."""


class UntrustedError(SipError, PermissionError):
    """A file or folder names code that the user does not trust. Nothing was imported or called."""


class PluginError(SipError, RuntimeError):
    """A plugin tried to end the process."""


class ConfigurationError(SipError, ValueError):
    """An experiment file has an entry without a meaning."""


class FileError(SipError, OSError):
    """A file of fields cannot be read or written."""


class CheckpointError(SipError, OSError):
    """A checkpoint cannot be written or read, or does not fit the training."""


class RunFolderError(SipError, OSError):
    """The folder of a run cannot be used."""


class RecordError(SipError, ValueError):
    """The records of a run cannot be read."""


class TrainingError(SipError, RuntimeError):
    """A training ended by an error, which is the `__cause__`. What the network had learned is saved."""


class SipWarning(UserWarning):
    """Base of all warnings of `phi_sip`. Texts from files in its message cannot control a terminal."""

    def __str__(self) -> str:
        return printable(super().__str__())


class TrainingWarning(SipWarning):
    """A training ended early, or goes on with something changed. The message says what."""


class CheckpointWarning(SipWarning):
    """A checkpoint was left out. The message says why, and what is used in its place."""


class RecordWarning(SipWarning):
    """A part of a run cannot be shown and was left out. The message says what and why."""


class MisfitWarning(SipWarning):
    """The prediction of a trained inverse does not explain an observation. The message says by how much."""


class FileWarning(SipWarning):
    """A file can be read, but may be incomplete. The message says what is missing."""


class PluginWarning(SipWarning):
    """A plugin was left out. The message names its distribution and the cause."""


class PerformanceWarning(SipWarning):
    """Something works, but could be faster. The message says how."""
