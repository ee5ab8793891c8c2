"""The stack of a process that hangs, written on its watcher's request."""

import faulthandler
import os
import signal
import sys
import tempfile
from contextlib import suppress
from typing import IO

SIGNAL = signal.SIGUSR1
DUMP_S = 0.5
"""Time that a process gets to write its stack."""
MAX_BYTES = 64 * 1024


class StackFile:
    """A file without a name, which a watcher opens and the watched process writes its stack to.

    The signal's handler is C code: it also runs while other C code holds the interpreter's lock.
    A process that was stopped (SIGSTOP) writes nothing.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] = (
            os.fdopen(os.memfd_create("stack"), "w+b", buffering=0)
            if sys.platform == "linux"
            else tempfile.TemporaryFile(buffering=0)
        )

    def fileno(self) -> int:
        """The file descriptor, to be handed to the process."""
        return self._file.fileno()

    def request(self, pid: int) -> None:
        """Makes the process write its stack, which takes at most DUMP_S."""
        os.ftruncate(self.fileno(), 0)
        os.lseek(self.fileno(), 0, os.SEEK_SET)
        with suppress(ProcessLookupError):
            os.kill(pid, SIGNAL)

    def read(self) -> str:
        """What the process has written."""
        return os.pread(self.fileno(), MAX_BYTES, 0).decode(errors="replace")

    def close(self) -> None:
        """Closes the watcher's end."""
        self._file.close()


def write_on_request(to: int) -> None:
    """Makes this process write the stacks of its threads to a file descriptor at each SIGNAL."""
    faulthandler.register(SIGNAL, file=to, all_threads=True)
