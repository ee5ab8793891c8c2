"""Processes that the parent forks for its workers: its imports, which take seconds, are made."""

import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dspy_sidecar.log import logger
from dspy_sidecar.parent_process import die_with

MAX_BYTES = 4_096
"""Maximum size of a process's arguments, in JSON."""
MAX_DESCRIPTORS = 8
STDOUT, STDERR = 1, 2

Work = Callable[[dict[str, Any], list[int]], None]
"""A process's work: takes its arguments and the file descriptors that were handed to it."""


class Forks:
    """Forks a process for each worker that asks, with the arguments and descriptors that it sends.

    Must be made before the workers are forked, which share the sending end. The parent learns
    nothing of the work: a process tells its own pid and result by its descriptors, and they end
    with it.
    """

    def __init__(self, load: Callable[[], Work]) -> None:
        """Takes the work as a function that imports it."""
        self._load = load
        self._asked, self._asking = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._pids: set[int] = set()

    def ask(self, arguments: dict[str, Any], descriptors: list[int]) -> None:
        """Asks for a process, as a worker; the descriptors can be closed afterwards."""
        socket.send_fds(self._asking, [json.dumps(arguments).encode()], descriptors)

    def fileno(self) -> int:
        """The parent's end, which can be read when a worker has asked."""
        return self._asked.fileno()

    def load(self) -> None:
        """Imports the work, as the parent, so that no process has to."""
        self._load()

    def answer(self) -> None:
        """Forks the process that a worker asked for, as the parent."""
        message, descriptors, *_ = socket.recv_fds(self._asked, MAX_BYTES, MAX_DESCRIPTORS)
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            # The worker finds the pipes closed.
            logger.error("can't fork a process", exc_info=error)
            pid = -1
        if pid == 0:
            self._run(parent, json.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            self._pids.add(pid)

    def reap(self) -> None:
        """Takes note of the processes that have ended, and kills what they have started."""
        for pid in list(self._pids):
            # Not reaped yet, so that the group is still its own.
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                self._pids.discard(pid)

    def _run(self, parent: int, arguments: dict[str, Any], descriptors: list[int]) -> None:
        """Does the work in the forked process, and exits."""
        try:
            os.setsid()
            die_with(parent)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            close_others({STDERR, *descriptors})
            self._load()(arguments, descriptors)
        except (EOFError, BrokenPipeError):
            # The worker, or its caller, has left.
            pass
        except BaseException as error:
            logger.error("a forked process failed", exc_info=error)
        os._exit(1)


def close_others(kept: set[int]) -> None:
    """Closes the parent's descriptors; stdin and stdout become empty."""
    begin = 0
    for descriptor in sorted(kept):
        os.closerange(begin, descriptor)
        begin = descriptor + 1
    os.closerange(begin, os.sysconf("SC_OPEN_MAX"))
    # The lowest numbers that are free: stdin and stdout.
    while os.open(os.devnull, os.O_RDWR) < STDOUT:
        pass
