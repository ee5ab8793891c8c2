"""The parent of a process: when it dies, however it dies, the process dies too."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Has Linux kill this process when the thread that started it ends; ends it if the parent is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The signal comes only for a death after the call.
    if os.getppid() != parent:
        os._exit(1)
