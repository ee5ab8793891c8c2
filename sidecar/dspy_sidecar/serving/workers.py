"""The processes that serve: forked from one that has imported everything, and replaced when they die."""

import os
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from dspy_sidecar.log import logger

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
WELL_S = 30
"""A worker that lived this long was well: its replacement comes at once."""
GRACE_S = 8
"""Longer than a worker's own, so that it ends by itself."""

Work = Callable[[int, int], None]
"""What a worker does, by its number, until a file descriptor ends, which it does when the parent has died."""


@dataclass
class Worker:
    """One place, and who has it."""

    number: int
    pid: int | None = None
    began: float = 0.0
    pause_s: float = 0.0


class Workers:
    """Forks them and waits: nothing else may run in this process, and no gRPC object may be made in it."""

    def __init__(self, count: int, work: Work) -> None:
        self._work = work
        self._workers = [Worker(number) for number in range(count)]
        self._is_stopping = False

    def run(self) -> None:
        """Keeps them alive until SIGTERM or SIGINT; then lets them drain."""
        self._alive, self._parent_alive = os.pipe()
        self._woken, wake = os.pipe()
        for end in (self._woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.SelectSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._is_stopping:
                self._start_those_due()
                for key, _ in selector.select(self._next_due_s()):
                    os.read(key.fd, 1_024)
                self._take_leave()
        self._drain()

    def _stop(self) -> None:
        self._is_stopping = True

    def _start_those_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.pid is None and now >= worker.began + worker.pause_s:
                worker.began = now
                worker.pid = os.fork() or self._be(worker.number)

    def _next_due_s(self) -> float | None:
        due = [worker.began + worker.pause_s for worker in self._workers if worker.pid is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _be(self, number: int) -> int:
        """The rest of a worker's life."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            # The handlers are the parent's: a worker that is told to end before it serves ends at once.
            for signal_number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(signal_number, signal.SIG_DFL)
            # As long as one process has it open, nobody sees the parent's death.
            os.close(self._parent_alive)
            self._work(number, self._alive)
            code = 0
        except BaseException as error:
            logger.error("a worker can't go on", exc_info=error)
        os._exit(code)

    def _take_leave(self) -> None:
        """Of those that have died. Their replacement comes after a pause that grows while they keep dying young."""
        for worker in self._workers:
            if worker.pid is None:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid == 0:
                continue
            worker.pid = None
            was_well = time.monotonic() - worker.began > WELL_S
            worker.pause_s = (
                FIRST_PAUSE_S
                if was_well
                else min(max(worker.pause_s * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S)
            )
            worker.began = time.monotonic()
            if not self._is_stopping:
                fields = {"worker": worker.number, "code": os.waitstatus_to_exitcode(status)}
                logger.warning("a worker ended by itself and is replaced", extra={"fields": fields})

    def _drain(self) -> None:
        deadline = time.monotonic() + GRACE_S
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            for worker in self._workers:
                if worker.pid is not None:
                    os.kill(worker.pid, signal_number)
            while any(worker.pid is not None for worker in self._workers):
                if signal_number is signal.SIGTERM and time.monotonic() > deadline:
                    break
                time.sleep(0.02)
                self._take_leave()


def addresses(first: str, count: int) -> list[str]:
    """Where each worker listens: `host:port` and the ports after it; `unix:/a.sock`, then `unix:/a-1.sock` and so on."""
    if first.startswith("unix:"):
        stem, dot, end = first.rpartition(".")
        return [first, *(f"{stem}-{number}{dot}{end}" for number in range(1, count))]
    host, _, port = first.rpartition(":")
    return [f"{host}:{int(port) + number}" for number in range(count)]
