"""What a person is told when something cannot go on: the failure, then what to do about it."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `cx`, documented in docs/reference.md."""

    OK = 0
    FINDING = 1
    """The command ran and found something: a failing check, a difference, a dead letter."""
    USAGE = 2
    """Wrong options, or a file that cannot be read as what it should be."""
    REJECTED = 3
    """Records were rejected and `--strict` was given."""
    ENVIRONMENT = 4
    """A broker, port, program or file that the command needs is not there."""
    STOPPED = 5
    """A worker stopped itself because going on would have lost or doubled events."""
    CRASHED = 70
    """An error in `cx` itself: its traceback is on standard error."""
    UNREAD = 141
    """Nobody reads the output any more, as of `cx ... | head`: it ends quietly, with the code of SIGPIPE."""


class CxError(Exception):
    """A failure that ends a command, in words a person can act on.

    `message` says what happened; `mend` says what to do, as a command where there is one.
    """

    def __init__(self, message: str, *, mend: str = "", code: Exit = Exit.ENVIRONMENT) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend
        self.code = code

    def __str__(self) -> str:
        return f"{self.message}\n  {self.mend}" if self.mend else self.message
