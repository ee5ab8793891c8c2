"""The embedded model: a llama.cpp server in its own process, which ends with this process.

Heartbeat: the server is asked for its health every second. A server that does not answer for 10 s
is killed and started again.
"""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPException

from dspy_sidecar.heartbeat import MAX_START_S, PERIOD_S, Watch
from dspy_sidecar.log import logger
from dspy_sidecar.stacks import DUMP_S, StackFile

MIN_PAUSE_S, MAX_PAUSE_S = 0.1, 5.0
"""Backoff between restarts of the process."""

HEALTHY_AFTER_S = 30
"""A process that lived longer is restarted after the minimum pause."""

POLL_S = 0.05
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens addresses without a proxy."""


@dataclass
class EmbeddedModel:
    """Restarts the server's process when it dies; a thread watches it, not the event loop."""

    port: int
    _process: subprocess.Popen[bytes] | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    # Held while the process is started. Until `_process` is set, nobody may stop the process and
    # no worker may be forked.
    _starting: threading.Lock = field(default_factory=threading.Lock)
    # Whether the process has answered since it was started, whoever asked it.
    _has_served: bool = False

    @staticmethod
    def start() -> "EmbeddedModel":
        """Starts the process on a free port and does not wait until it serves."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            model = EmbeddedModel(free.getsockname()[1])
        # A worker that is forked during a start would inherit the pipe that Popen waits for, and
        # the model's stdin.
        release = model._starting.release
        os.register_at_fork(
            before=model._starting.acquire, after_in_parent=release, after_in_child=release
        )
        threading.Thread(target=model._keep_alive, name="embedded model", daemon=True).start()
        return model

    def in_worker(self) -> "EmbeddedModel":
        """The same model for a forked worker, which does not restart the process.

        Closes the worker's copy of the model's stdin, so that the stdin ends with the parent.
        """
        if self._process and self._process.stdin:
            self._process.stdin.close()
        return EmbeddedModel(self.port)

    @property
    def url(self) -> str:
        """Base URL of the OpenAI-compatible API."""
        return f"http://127.0.0.1:{self.port}/v1"

    def wait(self) -> None:
        """Blocks until the model is loaded or stop() is called."""
        while not self._stopping.is_set():
            if self._is_healthy():
                return
            self._stopping.wait(POLL_S)

    def stop(self) -> None:
        """Kills the process, which has no state to save, and ends every wait()."""
        self._stopping.set()
        with self._starting:
            process = self._process
        if process:
            process.kill()
            process.wait()

    def _keep_alive(self) -> None:
        pause = MIN_PAUSE_S
        while not self._stopping.is_set():
            began = time.monotonic()
            with closing(StackFile()) as stack:
                process = self._start_process(stack)
                if process is None:
                    return
                code = self._watch(process, stack)
            if self._stopping.is_set():
                return
            logger.warning(
                "the local model's process ended by itself and is started again",
                extra={"fields": {"code": code}},
            )
            was_healthy = time.monotonic() - began > HEALTHY_AFTER_S
            pause = MIN_PAUSE_S if was_healthy else min(pause * 2, MAX_PAUSE_S)
            self._stopping.wait(pause)

    def _watch(self, process: subprocess.Popen[bytes], stack: StackFile) -> int:
        """Waits for the end of the process, and kills it if it hangs; returns its code."""
        watch = Watch()
        start_end = time.monotonic() + MAX_START_S
        while True:
            try:
                return process.wait(PERIOD_S / 2)
            except subprocess.TimeoutExpired:
                pass
            is_healthy = self._is_healthy()
            if is_healthy or (not self._has_served and time.monotonic() < start_end):
                watch.beat()
            if watch.is_silent() and not self._stopping.is_set():
                stack.request(process.pid)
                time.sleep(DUMP_S)
                fields = {"stack": stack.read()}
                logger.error(
                    "the local model's process hangs and is killed", extra={"fields": fields}
                )
                process.kill()
                return process.wait()

    def _is_healthy(self) -> bool:
        """Whether the server answers. The time-out is shorter than what Watch takes for a gap."""
        try:
            with DIRECT.open(f"http://127.0.0.1:{self.port}/health", timeout=PERIOD_S):
                self._has_served = True
                return True
        except (OSError, HTTPException):
            return False

    def _start_process(self, stack: StackFile) -> subprocess.Popen[bytes] | None:
        """Starts the process; None after stop().

        On Linux the process dies with the thread that calls this, which lives until this process
        ends.
        """
        module = "dspy_sidecar.models.embedded_server"
        command = [sys.executable, "-m", module]
        command += [str(self.port), str(os.getpid()), str(stack.fileno())]
        with self._starting:
            if self._stopping.is_set():
                return None
            self._has_served = False
            # Nobody writes to the process's stdin. The stdin ends when this process dies, also if
            # this process is killed, and the server ends with it.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[stack.fileno()],
            )
            return self._process
