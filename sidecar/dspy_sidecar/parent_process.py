"""Ties a process to its parent: whatever kills the parent, the process dies too."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Kills this process when its parent dies, or now if the parent is dead already.

    Only Linux has such a signal; it comes when the thread that started this process ends.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The signal comes only for a death after the prctl call.
    if os.getppid() != parent:
        os._exit(1)
