"""What a person is told when something cannot go on: the failure, then what to do about it."""

from enum import IntEnum
from errno import EACCES, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS
from os import PathLike
from typing import Final


class Exit(IntEnum):
    """Exit codes of `cx`, documented in docs/reference.md."""

    OK = 0
    FINDING = 1
    """The command ran and found something: a failing check, a difference, a dead letter."""
    USAGE = 2
    """Wrong options or settings, or what they name cannot be read or written as what it should be."""
    REJECTED = 3
    """Records were rejected and `--strict` was given."""
    ENVIRONMENT = 4
    """A broker, port or program that the command needs is not there, or the machine gave out: a full disk."""
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


KEPT_OUT: Final = frozenset((EACCES, EPERM))
MISNAMED: Final = KEPT_OUT | {ENOENT, ENOTDIR, EISDIR, ELOOP, ENAMETOOLONG, EROFS}
"""What the system answers where a path was named that is not there or not ours: no fault of the machine."""


def unreadable(
    path: PathLike[str] | str, error: OSError | UnicodeDecodeError, mend: str, *, what: str = ""
) -> CxError:
    """Return the error of a file or folder that was named and cannot be read: a mistake of who named it.

    `mend` says what to name instead; who is kept out by its rights named the right one, and is told of the
    rights. `what` is said before the path: "the policy file".
    """
    named = f"{what} {path}".lstrip()
    if isinstance(error, UnicodeDecodeError):
        # Its own words would show a byte of what may be a secret.
        return CxError(f"cannot read {named}: it is not UTF-8", mend="save it as UTF-8", code=Exit.USAGE)
    if error.errno in KEPT_OUT:
        mend = "let this user read it, and enter the folders above it"
    return CxError(f"cannot read {named}: {error.strerror or error}", mend=mend, code=Exit.USAGE)
