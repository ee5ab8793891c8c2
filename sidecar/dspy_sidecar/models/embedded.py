"""The local model: a llama.cpp server in a process of its own, which ends when we do."""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field

from dspy_sidecar.log import logger

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
POLL_S = 0.05


@dataclass
class EmbeddedModel:
    """Keeps the server's process alive on one port; a thread watches it, so that the event loop need not."""

    port: int
    _process: subprocess.Popen[bytes] | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    # Held while the process is started: nobody stops it, and no worker is forked, before it is known.
    _starting: threading.Lock = field(default_factory=threading.Lock)

    @staticmethod
    def start() -> "EmbeddedModel":
        """Starts the process and does not wait for it."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            model = EmbeddedModel(free.getsockname()[1])
        # A worker that is forked meanwhile would keep the pipes open that a start waits for, and the model's stdin.
        release = model._starting.release
        os.register_at_fork(
            before=model._starting.acquire, after_in_parent=release, after_in_child=release
        )
        threading.Thread(target=model._keep_alive, name="embedded model", daemon=True).start()
        return model

    def parents(self) -> "EmbeddedModel":
        """The same for a forked process, in which nobody keeps it alive. Lets go of its stdin, whose end is its end."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
        return EmbeddedModel(self.port)

    @property
    def url(self) -> str:
        """Where its OpenAI-compatible API is."""
        return f"http://127.0.0.1:{self.port}/v1"

    def wait(self) -> None:
        """Returns once the model is loaded, or stop() was called."""
        while not self._stopping.is_set():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=1):
                    return
            except OSError:
                self._stopping.wait(POLL_S)

    def stop(self) -> None:
        """Ends the process, which keeps nothing that would need time. Ends the waiting of wait()."""
        self._stopping.set()
        with self._starting:
            process = self._process
        if process:
            process.kill()
            process.wait()

    def _keep_alive(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began = time.monotonic()
            process = self._start_process()
            if process is None:
                return
            code = process.wait()
            if self._stopping.is_set():
                return
            logger.warning(
                "the local model's process ended by itself and is started again",
                extra={"fields": {"code": code}},
            )
            pause = (
                FIRST_PAUSE_S if time.monotonic() - began > 30 else min(pause * 2, LONGEST_PAUSE_S)
            )
            self._stopping.wait(pause)

    def _start_process(self) -> subprocess.Popen[bytes] | None:
        """None after stop(). On Linux the process also dies with the thread that calls this, which lives as long as we do."""
        command = [
            sys.executable,
            "-m",
            "dspy_sidecar.models.embedded_server",
            str(self.port),
            str(os.getpid()),
        ]
        with self._starting:
            if self._stopping.is_set():
                return None
            # Its stdin is a pipe that nobody writes to: it ends when we do, also when we are killed.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            return self._process
