"""The embedded model's process ends with its stdin, at any time, and with its parent."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from process import SIDECAR

STEP_S = 0.1
STEPS = 24
"""Together longer than the model takes to load."""
AT_A_TIME = 4
END_S = 20
"""Generous: a process that has not ended by then hangs."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


async def test_the_process_ends_with_its_stdin_also_while_it_loads():
    turns = asyncio.Semaphore(AT_A_TIME)

    async def end_after(seconds: float) -> None:
        async with turns:
            numbers = (free_port(), os.getpid(), 2)
            args = ["-m", "dspy_sidecar.models.embedded_server", *map(str, numbers)]
            quiet = asyncio.subprocess.DEVNULL
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *args,
                cwd=SIDECAR,
                stdin=asyncio.subprocess.PIPE,
                stdout=quiet,
                stderr=quiet,
            )
            try:
                await asyncio.sleep(seconds)
                process.stdin.close()
                assert await asyncio.wait_for(process.wait(), END_S) == 0
            finally:
                if process.returncode is None:
                    process.kill()

    await asyncio.gather(*(end_after(STEP_S * step) for step in range(STEPS)))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
async def test_the_process_is_killed_with_its_parent_while_its_stdin_is_open():
    reading, writing = os.pipe()
    # A parent that starts the process, prints its id and sleeps.
    code = (
        "import os, subprocess, sys, time\n"
        "module, port = 'dspy_sidecar.models.embedded_server', sys.argv[1]\n"
        "command = [sys.executable, '-m', module, port, str(os.getpid()), '2']\n"
        "quiet = subprocess.DEVNULL\n"
        "child = subprocess.Popen(command, stdin=int(sys.argv[2]), stdout=quiet, stderr=quiet)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(3600)\n"
    )
    try:
        for seconds in (0, 0.2, 0.8, 1.6):
            parent = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-c", code, str(free_port()), str(reading)),
                cwd=SIDECAR,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=[reading],
            )
            pid = int(await parent.stdout.readline())
            await asyncio.sleep(seconds)
            parent.send_signal(signal.SIGKILL)
            await parent.wait()
            try:
                async with asyncio.timeout(END_S):
                    while is_serving(pid):
                        await asyncio.sleep(0.02)
            finally:
                if is_serving(pid):
                    os.kill(pid, signal.SIGKILL)
    finally:
        os.close(reading)
        os.close(writing)


def is_serving(pid: int) -> bool:
    """False also for a zombie, whose command is empty."""
    try:
        return b"embedded_server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_server_that_is_stopped_is_killed_and_started_again():
    # A process of its own, since EmbeddedModel ends with the process that made it.
    code = (
        "from dspy_sidecar.models.embedded import EmbeddedModel\n"
        "model = EmbeddedModel.start()\n"
        "for _ in range(2):\n"
        "    model.wait()\n"
        "    print(model._process.pid, flush=True)\n"
        "    input()\n"
        "model.stop()\n"
    )
    watcher = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", code),
        cwd=SIDECAR,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    first = int(await watcher.stdout.readline())
    os.kill(first, signal.SIGSTOP)
    while is_serving(first):
        await asyncio.sleep(0.05)
    watcher.stdin.write(b"\n")
    second = int(await watcher.stdout.readline())
    assert second != first and is_serving(second)
    watcher.stdin.write(b"\n")
    assert await watcher.wait() == 0
