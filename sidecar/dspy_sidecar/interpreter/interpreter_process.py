"""Sets limits on this process and becomes Deno.

Usage: `interpreter_process.py PARENT_PID /path/to/deno run ...`
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
MAX_CPU_S = 3600
"""CPU time, in seconds: the longest deadline of a run.

Ends orphans on systems without a signal at the parent's death."""
MAX_MEBIBYTES = 1024
"""Memory. Deno and Pyodide take half; code that needs more gets a MemoryError."""


def main() -> None:
    """Sets the limits and executes Deno; does not return."""
    if sys.platform == "linux":
        # The same as parent_process.py, which can't be imported here.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEBIBYTES << 20, MAX_MEBIBYTES << 20))
    if os.getppid() != int(sys.argv[1]):
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The sidecar's environment holds the providers' keys. Deno caches compiled code in HOME.
    home = {"HOME": os.environ["HOME"]} if "HOME" in os.environ else {}
    env = {**home, "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1", "DENO_NO_PACKAGE_JSON": "1"}
    os.execve(sys.argv[2], sys.argv[2:], env)


if __name__ == "__main__":
    main()
