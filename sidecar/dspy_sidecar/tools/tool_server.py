"""The connection to one MCP server of the operator's, with its tools."""

import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspy_sidecar.log import logger
from dspy_sidecar.tools.bounded_lines import BoundedLines
from dspy_sidecar.tools.mcp_servers import Http, Stdio

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult, Tool

PROCESS = Path(__file__).with_name("server_process.py")
CONNECT_S = 60.0
"""Time-out of connecting; a server's command may download its package first."""
LIST_S = 10.0
CALL_S = 60.0
RELIST_S = 30.0
"""Period of listing the tools. Listing also finds a server that died between calls."""
FIRST_PAUSE_S, MAX_PAUSE_S = 0.2, 30.0
MAX_CHARACTERS = 20_000
"""Maximum length of a tool's answer, which the model reads again in every further step."""


class ToolError(Exception):
    """A tool's call failed. The model reads the message, which tells nothing of this machine."""


class ToolServer:
    """Lists and calls a server's tools, on the toolbox's event loop alone."""

    def __init__(self, name: str, server: Stdio | Http, call_s: float = CALL_S) -> None:
        self.name = name
        self.listed: tuple[Tool, ...] = ()
        """The tools that the server listed last; kept while the server is unreachable."""
        self.was_listed = False
        self.is_reachable = False
        self._server = server
        self._call_s = call_s
        self._client: Client | None = None
        # One warning for each loss of the connection, whatever number of attempts fail.
        self._warns = True
        # Makes the tools be listed at once instead of after RELIST_S.
        self._relist = asyncio.Event()

    async def stay_connected(self, tried: asyncio.Event) -> None:
        """Connects, and reconnects with growing pauses, until it is cancelled.

        Args:
            tried: Set after the first attempt, whether or not it succeeded.

        """
        pause = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            try:
                await self._hold_connection(tried)
            except Exception as error:
                self._log_loss(error)
            finally:
                self.is_reachable, self._client = False, None
                tried.set()
            pause = (
                FIRST_PAUSE_S
                if time.monotonic() - began > RELIST_S
                else min(pause * 2, MAX_PAUSE_S)
            )
            await asyncio.sleep(pause)

    async def _hold_connection(self, tried: asyncio.Event) -> None:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(CONNECT_S):
                client = await self._connect(stack)
                await self._list(client)
            self._warns = True
            logger.info(
                "an MCP server is here",
                extra={"fields": {"server": self.name, "tools": len(self.listed)}},
            )
            while True:
                self._client, self.is_reachable = client, True
                tried.set()
                self._relist.clear()
                try:
                    await asyncio.wait_for(self._relist.wait(), RELIST_S)
                except TimeoutError:
                    pass
                async with asyncio.timeout(LIST_S):
                    await self._list(client)

    async def _connect(self, stack: AsyncExitStack) -> "Client":
        # Imported here since the import takes half a second, which only tools need.
        from mcp import Client, StdioServerParameters
        from mcp.client import stdio
        from mcp.client.sse import sse_client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        transport: Any
        match self._server:
            case Stdio(command=command, args=args, env=env, cwd=cwd):
                stdio.TextReceiveStream = BoundedLines  # type: ignore[attr-defined]
                started = ["-I", "-S", str(PROCESS), str(os.getpid()), command, *args]
                transport = StdioServerParameters(
                    command=sys.executable, args=started, env=env, cwd=cwd
                )
            case Http(type="sse", url=url, headers=headers):
                transport = sse_client(url, headers=headers)
            case Http(url=url, headers=headers):
                http = await stack.enter_async_context(create_mcp_http_client(headers=headers))
                transport = streamable_http_client(url, http_client=http)
        return await stack.enter_async_context(
            Client(transport, message_handler=self._on_message, cache=None)
        )

    async def _on_message(self, message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._relist.set()

    async def _list(self, client: "Client") -> None:
        tools: list[Tool] = []
        cursor = None
        while True:
            page = await client.list_tools(cursor=cursor)
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        if tuple(tools) != self.listed:
            self.listed = tuple(tools)
        self.was_listed = True

    async def call(self, tool: str, arguments: dict[str, Any]) -> str:
        """Calls a tool and gives its answer as text.

        Raises:
            ToolError: The server is unreachable, the tool failed, or it took longer than `call_s`.

        """
        client = self._client
        if client is None:
            raise ToolError(f"the tool's server {self.name} can't be reached right now")
        try:
            async with asyncio.timeout(self._call_s):
                result = await client.call_tool(tool, arguments)
        except TimeoutError:
            raise ToolError(f"the tool did not answer within {self._call_s:g} s") from None
        except Exception as error:
            self._on_call_failed(error)
            raise ToolError(
                f"the tool's call failed: {bounded(str(getattr(error, 'message', error)))}"
            ) from error
        text = text_of(result)
        if result.is_error:
            raise ToolError(text)
        return text

    def _on_call_failed(self, error: Exception) -> None:
        """Lists the tools at once. The server is unreachable until then, unless it sent the error.

        A closed connection counts as no error of the server's.
        """
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED

        if not isinstance(error, MCPError) or error.code == CONNECTION_CLOSED:
            self.is_reachable, self._client = False, None
        self._relist.set()

    def _log_loss(self, error: Exception) -> None:
        level = logger.warning if self._warns else logger.debug
        self._warns = False
        # An error's message may hold the server's address, with secrets in it.
        level(
            "an MCP server is away",
            extra={"fields": {"server": self.name, "error": name_of(error)}},
        )


def name_of(error: BaseException) -> str:
    """The name of an error's class; for a group, of its first error's."""
    return (
        name_of(error.exceptions[0])
        if isinstance(error, BaseExceptionGroup)
        else type(error).__name__
    )


def text_of(result: "CallToolResult") -> str:
    """A result as the model reads it: its texts, and the types of its other parts."""
    parts = [part.text if part.type == "text" else f"[{part.type}]" for part in result.content]
    return bounded("\n".join(parts))


def bounded(text: str) -> str:
    """A text of at most MAX_CHARACTERS, with a note if the rest was cut off."""
    if len(text) <= MAX_CHARACTERS:
        return text
    return f"{text[:MAX_CHARACTERS]}\n[cut here: {len(text)} characters in all]"
