"""What can go wrong, each with the exit code that the command line gives for it.

A message is one line that names the file (or the option) and the remedy: it is printed as it stands.
"""


class ImpastoError(Exception):
    """Base of every error that a user can mend."""

    exit_code = 1


class UsageError(ImpastoError):
    """The command itself cannot be carried out: a wrong option, a missing argument."""

    exit_code = 2


class ImageError(ImpastoError):
    """An image cannot be read or written."""


class VideoError(ImpastoError):
    """A clip or a camera cannot be read, or a clip not be written."""


class ModelError(ImpastoError):
    """A style model cannot be read, or is not one."""


class WeightsError(ImpastoError):
    """The weights of the loss network are missing, damaged or too shallow."""


class DataError(ImpastoError):
    """A data set, to train on or to paint, cannot be used."""
