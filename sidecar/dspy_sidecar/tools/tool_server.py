"""One MCP server of the operator's: connected to for as long as this process lives, and its tools called."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from dspy_sidecar.log import logger
from dspy_sidecar.tools.mcp_servers import Http, Stdio

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult, Tool

CONNECT_S = 60.0
"""A command may have to fetch itself before it is there."""
LIST_S = 10.0
CALL_S = 60.0
RELIST_S = 30.0
"""How often the tools are listed again, which is also how a server's end is found where no call finds it before."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0
MOST_CHARACTERS = 20_000
"""Of a tool's answer. The model reads it again in every further step, and it stands on the record."""


class ToolError(Exception):
    """A tool's call failed, in words for the model: nothing of this machine's."""


class ToolServer:
    """Lists and calls a server's tools. All of it runs on one event loop, the toolbox's."""

    def __init__(self, name: str, where: Stdio | Http, call_s: float = CALL_S) -> None:
        self.name = name
        self.listed: tuple[Tool, ...] = ()
        """As it listed them last, also while it is away."""
        self.was_listed = False
        self.is_here = False
        self._where = where
        self._call_s = call_s
        self._client: Client | None = None
        # Its going is told once, until it has come again.
        self._is_news = True
        # In doubt, it is listed again at once.
        self._doubt = asyncio.Event()

    async def keep(self, tried: asyncio.Event) -> None:
        """Connects, again and ever more slowly where it is away; tells when it was tried once. Ends when it is cancelled."""
        pause = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            try:
                await self._stay(tried)
            except Exception as error:
                self._tell_away(error)
            finally:
                self.is_here, self._client = False, None
                tried.set()
            pause = (
                FIRST_PAUSE_S
                if time.monotonic() - began > RELIST_S
                else min(pause * 2, LONGEST_PAUSE_S)
            )
            await asyncio.sleep(pause)

    async def _stay(self, tried: asyncio.Event) -> None:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(CONNECT_S):
                client = await self._connect(stack)
                await self._list(client)
            self._is_news = True
            logger.info(
                "an MCP server is here",
                extra={"fields": {"server": self.name, "tools": len(self.listed)}},
            )
            while True:
                self._client, self.is_here = client, True
                tried.set()
                self._doubt.clear()
                try:
                    await asyncio.wait_for(self._doubt.wait(), RELIST_S)
                except TimeoutError:
                    pass
                async with asyncio.timeout(LIST_S):
                    await self._list(client)

    async def _connect(self, stack: AsyncExitStack) -> "Client":
        # Imported where there is a server at all: it takes half a second.
        from mcp import Client, StdioServerParameters
        from mcp.client.sse import sse_client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        where: Any
        match self._where:
            case Stdio(command=command, args=args, env=env, cwd=cwd):
                where = StdioServerParameters(command=command, args=args, env=env, cwd=cwd)
            case Http(type="sse", url=url, headers=headers):
                where = sse_client(url, headers=headers)
            case Http(url=url, headers=headers):
                http = await stack.enter_async_context(create_mcp_http_client(headers=headers))
                where = streamable_http_client(url, http_client=http)
        return await stack.enter_async_context(
            Client(where, message_handler=self._hear, cache=None)
        )

    async def _hear(self, message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._doubt.set()

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
        """What a tool answers, as text; ToolError where it fails or takes too long."""
        client = self._client
        if client is None:
            raise ToolError(f"the tool's server {self.name} can't be reached right now")
        try:
            async with asyncio.timeout(self._call_s):
                result = await client.call_tool(tool, arguments)
        except TimeoutError:
            raise ToolError(f"the tool did not answer within {self._call_s:g} s") from None
        except Exception as error:
            self._suspect(error)
            raise ToolError(
                f"the tool's call failed: {bounded(str(getattr(error, 'message', error)))}"
            ) from error
        text = text_of(result)
        if result.is_error:
            raise ToolError(text)
        return text

    def _suspect(self, error: Exception) -> None:
        """Has it listed again at once; away until then, where the error is not the server's own word."""
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED

        if not isinstance(error, MCPError) or error.code == CONNECTION_CLOSED:
            self.is_here, self._client = False, None
        self._doubt.set()

    def _tell_away(self, error: Exception) -> None:
        level = logger.warning if self._is_news else logger.debug
        self._is_news = False
        # An error's own words may hold the address, or what stands in it.
        level(
            "an MCP server is away",
            extra={"fields": {"server": self.name, "error": name_of(error)}},
        )


def name_of(error: BaseException) -> str:
    """The class of an error, or of the first one in a group."""
    return (
        name_of(error.exceptions[0])
        if isinstance(error, BaseExceptionGroup)
        else type(error).__name__
    )


def text_of(result: "CallToolResult") -> str:
    """A result as the model reads it; of what is no text, its type."""
    parts = [part.text if part.type == "text" else f"[{part.type}]" for part in result.content]
    return bounded("\n".join(parts))


def bounded(text: str) -> str:
    """A text that is not longer than MOST_CHARACTERS, with a word where it was cut."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}\n[cut here: {len(text)} characters in all]"
