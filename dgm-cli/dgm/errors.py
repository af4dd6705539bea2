"""Errors that a user can act on, each one line. The command line turns them into exit codes."""


class DgmError(Exception):
    """The run or one of its trials failed."""

    exit_code = 3


class BadInput(DgmError):
    """The request makes no sense: a wrong key, value, name or file."""

    exit_code = 2


class MissingData(DgmError):
    """A data set is not on this machine, and no mirror has it."""


class Diverged(DgmError):
    """A trial's parameters are no longer finite; its last good checkpoint, if any, is kept."""


def check_enough(setting: str, wanted: int, there: int, what: str) -> None:
    """BadInput where a setting asks for more `what`, such as "test images", than there are."""
    if wanted > there:
        raise BadInput(f"{setting} {wanted}: there are {there} {what}")
