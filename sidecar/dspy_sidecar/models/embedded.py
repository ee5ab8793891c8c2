"""The local model: a llama.cpp server in a process of its own, which ends when we do."""

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

    @staticmethod
    def start() -> "EmbeddedModel":
        """Starts the process and does not wait for it."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            model = EmbeddedModel(free.getsockname()[1])
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
        """Ends the process."""
        self._stopping.set()
        if self._process:
            self._process.terminate()
            self._process.wait()

    def _keep_alive(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began = time.monotonic()
            # Its stdin is a pipe that nobody writes to: it ends when we do, also when we are killed.
            command = [sys.executable, "-m", "dspy_sidecar.models.embedded_server", str(self.port)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            code = self._process.wait()
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
