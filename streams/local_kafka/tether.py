"""Become another program that the system kills when the process which started it dies."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def tether(parent: int) -> None:
    """Ask Linux to kill this process with its parent; elsewhere the parent's own clean-up has to do.

    SIGKILL, because a broker that stands still would never see another signal; Kafka's log survives it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(f"process {parent} is gone")


def main(arguments: list[str]) -> None:
    """Tether this process to the process id in `arguments[0]`, then become the program in the rest."""
    tether(int(arguments[0]))
    os.execv(arguments[1], arguments[1:])  # noqa: S606  # the same process id is the point


if __name__ == "__main__":
    main(sys.argv[1:])
