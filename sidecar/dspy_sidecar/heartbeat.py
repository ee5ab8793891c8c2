"""Heartbeats: a process that sends none for 10 s hangs; its watcher kills and replaces it."""

import mmap
import os
import threading
import time
from contextlib import suppress

PERIOD_S = 1.0
MAX_SILENCE_S = 10.0
MAX_GAP_S = 3.0
"""A watcher that has not looked for longer did not run itself, and can't tell who was silent."""

MAX_START_S = 120.0
"""Maximum time until a process that starts sends heartbeats from its main thread."""


class Watch:
    """Measures the silence of a watched process, over the time in which the watcher ran.

    After a gap in the watcher's own clock, the silence is counted anew: a machine that slept, or a
    watcher that was stopped, kills nothing for the next MAX_SILENCE_S.
    """

    def __init__(self) -> None:
        self._looked, self._looked_wall = time.monotonic(), time.time()
        self._heard = self._looked

    def beat(self) -> None:
        """Notes a heartbeat."""
        self._heard = time.monotonic()

    def is_silent(self) -> bool:
        """Whether the process hangs. Must be asked every PERIOD_S."""
        now, wall = time.monotonic(), time.time()
        # The monotonic clock of Linux stands still while the machine sleeps.
        if max(now - self._looked, wall - self._looked_wall) > MAX_GAP_S:
            self._heard = now
        self._looked, self._looked_wall = now, wall
        return now - self._heard > MAX_SILENCE_S


class Counters:
    """A counter of heartbeats for each worker, in memory that the workers share with the parent."""

    def __init__(self, count: int) -> None:
        self._counters = memoryview(mmap.mmap(-1, 8 * count)).cast("Q")

    def beat(self, number: int) -> None:
        """Counts a heartbeat of a worker."""
        self._counters[number] += 1

    def of(self, number: int) -> int:
        """The number of a worker's heartbeats so far."""
        return self._counters[number]


class Pipe:
    """Heartbeats to the process that started this one, as bytes in a pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._has_started = threading.Event()
        os.set_blocking(descriptor, False)

    def beat(self) -> None:
        """Sends a heartbeat; none if the watcher reads no more, or has ended."""
        with suppress(OSError):
            os.write(self._descriptor, b".")

    def beat_while_starting(self) -> None:
        """Sends heartbeats from a thread until `started`, for at most MAX_START_S.

        Imports take seconds, in which the main thread can send none.
        """
        threading.Thread(target=self._beat_while_starting, name="start", daemon=True).start()

    def started(self) -> None:
        """From now on the main thread sends the heartbeats."""
        self._has_started.set()

    def _beat_while_starting(self) -> None:
        end = time.monotonic() + MAX_START_S
        while time.monotonic() < end and not self._has_started.is_set():
            self.beat()
            self._has_started.wait(PERIOD_S)
