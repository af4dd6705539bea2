"""What a user may be told in one line. The command line turns each into its exit code."""


class DgmError(Exception):
    """The run or one of its trials failed."""

    exit_code = 3


class BadInput(DgmError):
    """The request cannot be meant: a wrong key, value, name or file."""

    exit_code = 2


class MissingData(DgmError):
    """A data set is neither on this machine nor to be had."""


class Diverged(DgmError):
    """A trial's parameters are no longer finite; its last good checkpoint is kept."""
