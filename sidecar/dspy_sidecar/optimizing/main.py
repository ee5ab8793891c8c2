"""The process of one optimization: `python -m dspy_sidecar.optimizing.main`. It gets the request by its stdin, and ends with it."""

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "gen"))
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")

from sigrun.sidecar.v1 import sidecar_service_pb2 as pb

from dspy_sidecar import log
from dspy_sidecar.models.embedded import EmbeddedModel
from dspy_sidecar.optimizing import frames
from dspy_sidecar.parent_process import die_with
from dspy_sidecar.settings import Settings

NICENESS = 10
DEEPEST = 100_000
PERIOD_S = 0.5


def arguments() -> argparse.Namespace:
    """What the sidecar says."""
    parser = argparse.ArgumentParser(prog="dspy_sidecar.optimizing.main")
    parser.add_argument("--parent", type=int, required=True, help="the process that it ends with")
    parser.add_argument(
        "--events", type=int, required=True, help="the file descriptor that events are written to"
    )
    parser.add_argument(
        "--began", type=float, required=True, help="when its time began, by the monotonic clock"
    )
    parser.add_argument("--embedded-port", type=int, help="of the local model")
    parser.add_argument("--log-dir", help="where an optimizer that can go on keeps what it has")
    return parser.parse_args()


def main() -> None:
    """Reads the request, optimizes, writes what happens, and does not wait for threads that are left."""
    args = arguments()
    die_with(args.parent)
    os.nice(NICENESS)
    # COPRO makes each signature of the one before, and DSPy copies all of them, one in the other.
    sys.setrecursionlimit(DEEPEST)
    log.set_up()
    _, message = frames.read(sys.stdin.buffer)
    threading.Thread(target=end_with_stdin, name="stdin", daemon=True).start()
    optimize(pb.OptimizeProgramRequest.FromString(message), args)
    os._exit(0)


def end_with_stdin() -> None:
    """Nobody writes to it any more: its end is the sidecar's."""
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)


def optimize(request: pb.OptimizeProgramRequest, args: argparse.Namespace) -> None:
    """Writes where it stands, twice a second, and then the result or the fault."""
    # What it imports takes seconds, in which the sidecar's end must be noticed already.
    import dspy

    from dspy_sidecar.faults import fault_of
    from dspy_sidecar.models.lm import Models
    from dspy_sidecar.optimizing.optimization import Optimization
    from dspy_sidecar.tools.tools import toolbox

    # A program is built of the tools that are there.
    asyncio.run(toolbox().settled())
    dspy.disable_logging()
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    embedded = EmbeddedModel(args.embedded_port) if args.embedded_port else None
    optimization = Optimization(
        request, Models(Settings.read(os.environ), embedded), args.began, args.log_dir
    )
    events = os.fdopen(args.events, "wb", buffering=0)
    ended = threading.Event()

    def tell() -> None:
        progress = pb.OptimizeProgramResponse(progress=optimization.progress.now())
        events.write(frames.pack(frames.EVENT, progress.SerializeToString()))

    def keep_telling() -> None:
        while not ended.wait(PERIOD_S):
            tell()

    telling = threading.Thread(target=keep_telling, name="progress", daemon=True)
    telling.start()
    try:
        result = optimization.run()
        last = frames.pack(
            frames.EVENT, pb.OptimizeProgramResponse(result=result).SerializeToString()
        )
    except Exception as error:
        fault = fault_of(error)
        told = {"code": fault.code.name, "reason": fault.reason, "message": fault.message}
        last = frames.pack(
            frames.FAULT, json.dumps({**told, "retry_after_s": fault.retry_after_s}).encode()
        )
    ended.set()
    telling.join()
    # What was spent until a fault.
    tell()
    events.write(last)


if __name__ == "__main__":
    main()
