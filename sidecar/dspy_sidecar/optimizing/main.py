"""The process of one optimization: `python -m dspy_sidecar.optimizing.main`.

Reads the request from stdin, writes events to a pipe, and ends when stdin ends.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "gen"))
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar import log
from dspy_sidecar.heartbeat import PERIOD_S
from dspy_sidecar.models.embedded import EmbeddedModel
from dspy_sidecar.optimizing import frames
from dspy_sidecar.parent_process import die_with
from dspy_sidecar.settings import Settings
from dspy_sidecar.stacks import write_on_request

NICENESS = 10
MAX_RECURSION = 100_000
PROGRESS_PERIOD_S = 0.5


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="dspy_sidecar.optimizing.main")
    parser.add_argument("--parent", type=int, required=True, help="the process that it ends with")
    parser.add_argument(
        "--events", type=int, required=True, help="file descriptor to write events to"
    )
    parser.add_argument(
        "--stack", type=int, required=True, help="file descriptor to write stacks to on SIGUSR1"
    )
    parser.add_argument(
        "--began",
        type=float,
        required=True,
        help="beginning of the time limit, by the monotonic clock",
    )
    parser.add_argument("--embedded-port", type=int, help="port of the local model")
    parser.add_argument("--log-dir", help="folder from which GEPA resumes after a crash")
    return parser.parse_args()


def main() -> None:
    """Reads the request, optimizes, and exits without waiting for remaining threads."""
    args = arguments()
    die_with(args.parent)
    os.nice(NICENESS)
    # COPRO derives each signature from the one before, and DSPy copies the chain recursively.
    sys.setrecursionlimit(MAX_RECURSION)
    log.set_up()
    write_on_request(args.stack)
    events = Events(args.events)
    threading.Thread(target=events.beat_always, name="heartbeat", daemon=True).start()
    _, message = frames.read(sys.stdin.buffer)
    threading.Thread(target=end_with_stdin, name="stdin", daemon=True).start()
    optimize(pb.OptimizeProgramRequest.FromString(message), args, events)
    os._exit(0)


def end_with_stdin() -> None:
    """Kills this process group when stdin ends, which means that the sidecar has died."""
    sys.stdin.buffer.read()
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


def optimize(request: pb.OptimizeProgramRequest, args: argparse.Namespace, events: Events) -> None:
    """Writes the progress twice a second, and at the end the result or the fault."""
    # These imports take seconds; `end_with_stdin` must already watch stdin by then.
    import dspy

    from dspy_sidecar.faults import fault_of
    from dspy_sidecar.models import dspy_patches
    from dspy_sidecar.models.lm import Models
    from dspy_sidecar.optimizing.optimization import Optimization
    from dspy_sidecar.tools.tools import toolbox

    # Building a program needs the definitions of its tools.
    asyncio.run(toolbox().wait_for_servers())
    dspy.disable_logging()
    dspy_patches.install()
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    embedded = EmbeddedModel(args.embedded_port) if args.embedded_port else None
    optimization = Optimization(
        request, Models(Settings.read(os.environ), embedded), args.began, args.log_dir
    )
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


if __name__ == "__main__":
    main()
