"""Errors and warnings of `phi_sip`. Every message says what happened, why, and what to change."""

from .text.printable import printable


class SipError(Exception):
    """Base of all errors raised by `phi_sip`. What its message quotes from files cannot steer a terminal."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ParameterError(SipError, ValueError):
    """An argument lies outside the range in which the equation makes sense."""


class BoundaryError(SipError, ValueError):
    """A field has boundary conditions that the physics does not cover."""


class GridMismatchError(SipError, ValueError):
    """Two fields that should live on the same grid do not."""


class NonFiniteError(SipError, ArithmeticError):
    """NaN or infinity met. Whatever was under way has been undone."""


class NetworkOutputError(SipError, ValueError):
    """The network returned something that is not a state of the physics."""


class UnsupportedError(SipError, TypeError):
    """No implementation for this type of network, optimizer or data."""


class UnknownNameError(SipError, LookupError):
    """No plugin has registered an object of this name."""


class DuplicateNameError(SipError, ValueError):
    """Two plugins have registered different objects under one name."""


class UntrustedError(SipError, PermissionError):
    """A file or folder names code that the user has not named himself; nothing was imported or called."""


class PluginError(SipError, RuntimeError):
    """A plugin tried to end the process."""


class ConfigurationError(SipError, ValueError):
    """An experiment file holds something that has no meaning."""


class FileError(SipError, OSError):
    """A file of fields cannot be read or written."""


class CheckpointError(SipError, OSError):
    """A checkpoint cannot be written, or is damaged or that of something else."""


class RunFolderError(SipError, OSError):
    """The folder of a run cannot be used."""


class RecordError(SipError, ValueError):
    """The records of a run cannot be read."""


class TrainingError(SipError, RuntimeError):
    """A training run ended by an error, which is its `__cause__`; what had been learned is saved."""


class SipWarning(UserWarning):
    """Base of all warnings of `phi_sip`. What its message quotes from files cannot steer a terminal."""

    def __str__(self) -> str:
        return printable(super().__str__())


class TrainingWarning(SipWarning):
    """A run ended early, or goes on with something changed; the message says what."""


class CheckpointWarning(SipWarning):
    """A checkpoint was left out; the message says why, and what is used in its place."""


class RecordWarning(SipWarning):
    """Something of a run cannot be shown and was left out; the message says what and why."""


class MisfitWarning(SipWarning):
    """What a trained inverse predicts does not explain an observation; the message says how much and what to do."""


class FileWarning(SipWarning):
    """A file can be read, but may not be complete; the message says what is missing."""


class PluginWarning(SipWarning):
    """A plugin was left out; the message names its distribution and the cause."""


class PerformanceWarning(SipWarning):
    """Something works, but slowly, and could be faster."""
