"""Forks the worker processes, after all imports, and replaces those that die."""

import os
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from dspy_sidecar.log import logger

FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 5.0
HEALTHY_S = 30
"""Age, in seconds, from which on a dead worker is replaced after FIRST_PAUSE_S."""
GRACE_S = 8
"""Seconds until a draining worker is killed; longer than the worker's own grace."""

Work = Callable[[int, int], None]
"""A worker's work. Takes its number, and a file descriptor that ends when the parent dies."""


@dataclass
class Worker:
    """A worker's number, and the process that has it now."""

    number: int
    pid: int | None = None
    began: float = 0.0
    pause_s: float = 0.0


class Workers:
    """Forks workers and waits. This process must run nothing else, and make no gRPC objects."""

    def __init__(self, count: int, work: Work) -> None:
        self._work = work
        self._workers = [Worker(number) for number in range(count)]
        self._is_stopping = False

    def run(self) -> None:
        """Keeps the workers alive until SIGTERM or SIGINT; then lets them drain."""
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
                self._start_due()
                for key, _ in selector.select(self._next_due_s()):
                    os.read(key.fd, 1_024)
                self._reap()
        self._drain()

    def _stop(self) -> None:
        self._is_stopping = True

    def _start_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.pid is None and now >= worker.began + worker.pause_s:
                worker.began = now
                worker.pid = os.fork() or self._run_worker(worker.number)

    def _next_due_s(self) -> float | None:
        due = [worker.began + worker.pause_s for worker in self._workers if worker.pid is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _run_worker(self, number: int) -> int:
        """Does a forked worker's work and exits."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            # Replaces the parent's handlers: a signal then ends a worker that does not serve yet.
            for signal_number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(signal_number, signal.SIG_DFL)
            # The pipe ends only when no process has this end open.
            os.close(self._parent_alive)
            self._work(number, self._alive)
            code = 0
        except BaseException as error:
            logger.error("a worker can't go on", exc_info=error)
        os._exit(code)

    def _reap(self) -> None:
        """Notes dead workers. The pause before a replacement grows while workers die early."""
        for worker in self._workers:
            if worker.pid is None:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid == 0:
                continue
            worker.pid = None
            was_healthy = time.monotonic() - worker.began > HEALTHY_S
            worker.pause_s = (
                FIRST_PAUSE_S
                if was_healthy
                else min(max(worker.pause_s * 2, FIRST_PAUSE_S), MAX_PAUSE_S)
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
                self._reap()


def addresses(first: str, count: int) -> list[str]:
    """The address of each worker, from the first one's.

    `host:port` is followed by the next ports, `unix:/a.sock` by `unix:/a-1.sock` and so on.
    """
    if first.startswith("unix:"):
        stem, dot, end = first.rpartition(".")
        return [first, *(f"{stem}-{number}{dot}{end}" for number in range(1, count))]
    host, _, port = first.rpartition(":")
    return [f"{host}:{int(port) + number}" for number in range(count)]
