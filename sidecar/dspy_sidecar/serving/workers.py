"""Forks the worker processes, after all imports, and replaces those that die or hang."""

import os
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dspy_sidecar.forks import Forks
from dspy_sidecar.heartbeat import PERIOD_S, Counters, Watch
from dspy_sidecar.log import logger
from dspy_sidecar.parent_process import die_with
from dspy_sidecar.stacks import DUMP_S, StackFile, write_on_request

FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 5.0
HEALTHY_S = 30
"""Age, in seconds, from which on a dead worker is replaced after FIRST_PAUSE_S."""
GRACE_S = 8
"""Seconds until a draining worker is killed; longer than the worker's own grace."""

Work = Callable[[int, int, Callable[[], None]], None]
"""A worker's work.

Takes its number, a file descriptor that ends when the parent dies, and a heartbeat, which the work
must call every PERIOD_S.
"""


@dataclass
class Worker:
    """A worker's number, and the process that has it now."""

    number: int
    pid: int | None = None
    began: float = 0.0
    pause_s: float = 0.0
    beats: int = 0
    watch: Watch = field(default_factory=Watch)
    stack: StackFile = field(default_factory=StackFile)


class Workers:
    """Forks workers, and processes for them; so this process must make no gRPC objects."""

    def __init__(self, count: int, work: Work, beat: Callable[[], None], forks: Forks) -> None:
        self._work = work
        self._beat = beat
        self._forks = forks
        self._workers = [Worker(number) for number in range(count)]
        self._beats = Counters(count)
        self._pid = os.getpid()
        self._is_stopping = False

    def run(self) -> None:
        """Keeps the workers alive until SIGTERM or SIGINT; then lets them drain.

        Calls `beat` every PERIOD_S.
        """
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
            selector.register(self._forks, selectors.EVENT_READ)
            self._start_due()
            self._forks.load()
            while not self._is_stopping:
                self._start_due()
                for key, _ in selector.select(min(self._next_due_s(), PERIOD_S)):
                    if key.fileobj is self._forks:
                        self._forks.answer()
                    else:
                        os.read(key.fd, 1_024)
                self._beat()
                self._reap()
                self._forks.reap()
                self._kill_silent()
        self._drain()

    def _stop(self) -> None:
        self._is_stopping = True

    def _start_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.pid is None and now >= worker.began + worker.pause_s:
                worker.began = now
                worker.watch = Watch()
                worker.pid = os.fork() or self._run_worker(worker)

    def _next_due_s(self) -> float:
        due = [worker.began + worker.pause_s for worker in self._workers if worker.pid is None]
        return max(0.0, min(due) - time.monotonic()) if due else PERIOD_S

    def _run_worker(self, worker: Worker) -> int:
        """Does a forked worker's work and exits."""
        code = 1
        number = worker.number
        try:
            # Only a running event loop sees the pipe's end below; this also ends a worker that
            # hangs.
            die_with(self._pid)
            write_on_request(worker.stack.fileno())
            signal.set_wakeup_fd(-1)
            # Replaces the parent's handlers: a signal then ends a worker that does not serve yet.
            for signal_number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(signal_number, signal.SIG_DFL)
            # The pipe ends only when no process has this end open.
            os.close(self._parent_alive)
            self._work(number, self._alive, lambda: self._beats.beat(number))
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

    def _kill_silent(self) -> None:
        """Kills workers that hang. They are reaped and replaced like others that died."""
        silent: list[tuple[int, Worker]] = []
        for worker in self._workers:
            beats = self._beats.of(worker.number)
            if beats != worker.beats:
                worker.beats = beats
                worker.watch.beat()
            if worker.watch.is_silent() and worker.pid is not None:
                silent.append((worker.pid, worker))
        if not silent:
            return
        for pid, worker in silent:
            worker.stack.request(pid)
        time.sleep(DUMP_S)
        for pid, worker in silent:
            fields = {"worker": worker.number, "stack": worker.stack.read()}
            logger.error("a worker hangs and is killed", extra={"fields": fields})
            # The worker may have ended in the meantime, but its pid is its own until it is reaped.
            os.kill(pid, signal.SIGKILL)
            # Killed once: the replacement has a watch of its own.
            worker.watch = Watch()

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
