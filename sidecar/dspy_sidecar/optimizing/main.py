"""The process of one optimization, which the sidecar's parent forks.

Reads the request from a pipe, writes events to another, and ends when the first one ends.
"""

import asyncio
import json
import os
import signal
import sys
import threading
import time
import warnings
from typing import Any, BinaryIO

import dspy

# MIPROv2 imports it when it begins.
import optuna  # noqa: F401
from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar.faults import fault_of
from dspy_sidecar.heartbeat import PERIOD_S
from dspy_sidecar.models.choosing import Models
from dspy_sidecar.models.embedded import EmbeddedModel
from dspy_sidecar.optimizing import frames
from dspy_sidecar.optimizing.optimization import Optimization
from dspy_sidecar.parent_process import name_process
from dspy_sidecar.settings import Settings
from dspy_sidecar.stacks import write_on_request
from dspy_sidecar.tools.tools import toolbox

NICENESS = 10
MAX_RECURSION = 100_000
PROGRESS_PERIOD_S = 0.5


def main(arguments: dict[str, Any], descriptors: list[int]) -> None:
    """Reads the request, optimizes, and exits without waiting for remaining threads.

    Args:
        arguments: `began`, when the time limit began, in seconds of the monotonic clock;
            `embedded_port` of the local model, or None; `log_dir`, the folder from which GEPA
            resumes after a crash, or None.
        descriptors: Pipes for the request and for the events, and a file for stacks.

    """
    requests, pipe, stacks = descriptors
    name_process("optimizer")
    os.nice(NICENESS)
    # COPRO derives each signature from the one before, and DSPy copies the chain recursively.
    sys.setrecursionlimit(MAX_RECURSION)
    warnings.simplefilter("ignore")
    write_on_request(stacks)
    events = Events(pipe)
    events.write(frames.PID, str(os.getpid()).encode())
    threading.Thread(target=events.beat_always, name="heartbeat", daemon=True).start()
    # Never closed: that would wait for the thread that reads it.
    stream = os.fdopen(requests, "rb")
    _, message = frames.read(stream)
    threading.Thread(target=end_with, args=[stream], name="request", daemon=True).start()
    optimize(pb.OptimizeProgramRequest.FromString(message), arguments, events)
    os._exit(0)


def end_with(stream: BinaryIO) -> None:
    """Kills this process group when the stream ends, which means that the worker has died."""
    stream.read()
    os.killpg(0, signal.SIGKILL)


class Events:
    """The pipe to the sidecar. A frame is written as a whole, whichever thread writes it."""

    def __init__(self, descriptor: int) -> None:
        self._pipe = os.fdopen(descriptor, "wb", buffering=0)
        self._writing = threading.Lock()

    def write(self, kind: bytes, message: bytes) -> None:
        """Writes a frame."""
        left = memoryview(frames.pack(kind, message))
        with self._writing:
            while left:
                left = left[self._pipe.write(left) :]

    def beat_always(self) -> None:
        """Sends heartbeats from a thread, as the main thread computes for long.

        They end if the process is stopped or if C code holds the interpreter's lock. A main thread
        that never ends is bounded by the budget of time.
        """
        while True:
            self.write(frames.BEAT, b"")
            time.sleep(PERIOD_S)


def optimize(request: pb.OptimizeProgramRequest, arguments: dict[str, Any], events: Events) -> None:
    """Writes the progress twice a second, and at the end the result or the fault."""
    # Building a program needs the definitions of its tools.
    asyncio.run(toolbox().wait_for_servers())
    dspy.disable_logging()
    # A cache of its own, without the parent's answers.
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    port = arguments["embedded_port"]
    models = Models(Settings.read(os.environ), EmbeddedModel(port) if port else None)
    optimization = Optimization(request, models, arguments["began"], arguments["log_dir"])
    ended = threading.Event()

    def write_progress() -> None:
        progress = pb.OptimizeProgramResponse(progress=optimization.progress.now())
        events.write(frames.EVENT, progress.SerializeToString())

    def write_repeatedly() -> None:
        while not ended.wait(PROGRESS_PERIOD_S):
            write_progress()

    writer = threading.Thread(target=write_repeatedly, name="progress", daemon=True)
    writer.start()
    try:
        result = optimization.run()
        last = frames.EVENT, pb.OptimizeProgramResponse(result=result).SerializeToString()
    except Exception as error:
        fault = fault_of(error)
        members = {
            "code": fault.code.name,
            "reason": fault.reason,
            "message": fault.message,
            "retry_after_s": fault.retry_after_s,
        }
        last = frames.FAULT, json.dumps(members).encode()
    ended.set()
    writer.join()
    # The last progress has the usage up to a fault.
    write_progress()
    events.write(*last)
