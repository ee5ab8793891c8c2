"""An MCP server for tests, by the official library.

Usage: `mcp_server.py stdio`, `mcp_server.py streamable-http PORT` or `mcp_server.py sse PORT`.
"""

import asyncio
import os
import sys
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("weather")


@server.tool()
def forecast(city: str, days: int = 1) -> str:
    """What the weather will be."""
    return f"{city}: rain for {days} day(s)"


def leave(name: str) -> None:
    """Makes a file that the test waits for."""
    Path(os.environ["MCP_TEST_DIR"], name).touch()


@server.tool()
async def slow() -> str:
    """Answers when it is too late."""
    leave("started")
    try:
        await asyncio.sleep(3600)
    except BaseException:
        leave("cancelled")
        raise
    return "late"


@server.tool()
def crash() -> str:
    """Ends the server's process."""
    os._exit(1)


@server.tool()
def long() -> str:
    """Says more than anybody wants to read."""
    return "x" * 1_000_000


@server.tool()
def broken() -> str:
    """Fails."""
    raise ToolError("no such place")


@server.tool()
def environment() -> str:
    """The names of the variables that it got."""
    return " ".join(sorted(os.environ))


if sys.argv[1] == "stdio":
    server.run("stdio")
else:
    server.run(sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]))
