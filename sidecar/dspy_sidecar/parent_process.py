"""A process that was started by another: it dies with its parent, and has a name of its own."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15


def die_with(parent: int) -> None:
    """Kills this process when its parent dies, or now if the parent is dead already.

    Only Linux has such a signal; it comes when the thread that started this process ends.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The signal comes only for a death after the prctl call.
    if os.getppid() != parent:
        os._exit(1)


def name_process(name: str) -> None:
    """Sets the name that ps and top show for this process; at most 15 characters, on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode())
