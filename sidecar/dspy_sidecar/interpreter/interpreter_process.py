"""Becomes the interpreter's process, with an end and bounds: `interpreter_process.py <parent> /path/to/deno run ...`."""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
CPU_S = 3600
"""As long as the longest run: the end of one that nobody is left to kill, where there is no signal at a parent's death."""
MEBIBYTES = 1024
"""Deno and Pyodide take half of it; the code gets a MemoryError."""


def main() -> None:
    """Does not return."""
    if sys.platform == "linux":
        # As parent.py does, which can't be imported here.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_DATA, (MEBIBYTES << 20, MEBIBYTES << 20))
    if os.getppid() != int(sys.argv[1]):
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Nothing of our environment, which has the providers' keys. Deno keeps what it has compiled at home.
    home = {"HOME": os.environ["HOME"]} if "HOME" in os.environ else {}
    env = {**home, "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1", "DENO_NO_PACKAGE_JSON": "1"}
    os.execve(sys.argv[2], sys.argv[2:], env)


if __name__ == "__main__":
    main()
