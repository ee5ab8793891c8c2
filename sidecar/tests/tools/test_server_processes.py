"""A process of an MCP server ends with the sidecar, also if it ignores the end of its stdin."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from process import SIDECAR, scripted

SCRIPT = "sleep 3600 & exec sleep 3600"


def holders(token: str) -> list[int]:
    """The processes with a variable of their own that has this value."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if token.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


def first_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("victim", ["sidecar", "worker"])
async def test_no_process_of_a_server_outlives_the_process_that_started_it(model, tmp_path, victim):
    token = f"mcp-token-{os.getpid()}-{victim}"
    server = {"command": "sh", "args": ["-c", SCRIPT], "env": {"MCP_TOKEN": token}}
    config = tmp_path / "mcp.json"
    config.write_text(json.dumps({"mcpServers": {"deaf": server}}))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "dspy_sidecar", "--listen", f"unix:{tmp_path}/sidecar.sock"),
        cwd=SIDECAR,
        env={**os.environ, **scripted(model.url), "SIGRUN_MCP_SERVERS": str(config)},
    )
    try:
        # What keeps the server, the server, and what the server has started.
        while len(before := holders(token)) < 3:
            await asyncio.sleep(0.05)
        pid = process.pid if victim == "sidecar" else first_child(process.pid)
        os.kill(pid, signal.SIGKILL)
        while set(before) & set(holders(token)):
            await asyncio.sleep(0.05)
    finally:
        if process.returncode is None and victim == "worker":
            process.terminate()
        await process.wait()
    while holders(token):
        await asyncio.sleep(0.05)
