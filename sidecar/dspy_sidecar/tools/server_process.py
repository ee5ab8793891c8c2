"""Runs an MCP server's command, and kills its processes when the sidecar's process dies.

Usage: `server_process.py PARENT_PID command [argument ...]`. MCP's library makes this process the
leader of a process group. A server that ignores the end of its stdin would go on without the
sidecar; so would what it has started, which gets no signal of its own.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PARENT_DIED = signal.SIGUSR1
CHECK_S = 1.0
"""Period of looking for the parent, on systems without a signal at its death."""


def main() -> None:
    """Runs the command, and exits with its code."""
    parent = int(sys.argv[1])

    def check(*_: object) -> None:
        if os.getppid() != parent:
            os.killpg(0, signal.SIGKILL)

    signal.signal(PARENT_DIED, check)
    # Sent to the whole group; the server decides when it ends.
    for ignored in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ignored, signal.SIG_IGN)
    if sys.platform == "linux":
        # The same as parent_process.py, which can't be imported here.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, PARENT_DIED)
    else:
        signal.signal(signal.SIGALRM, check)
        signal.setitimer(signal.ITIMER_REAL, CHECK_S, CHECK_S)
    check()
    server = os.fork()
    if server == 0:
        for default in (signal.SIGTERM, signal.SIGINT):
            signal.signal(default, signal.SIG_DFL)
        try:
            os.execvp(sys.argv[2], sys.argv[2:])
        except OSError as error:
            print(f"{sys.argv[2]}: {error.strerror}", file=sys.stderr)
            os._exit(127)
    # Only the server holds its stdin and stdout, so that their ends tell of the server alone.
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    _, status = os.waitpid(server, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
