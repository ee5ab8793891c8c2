"""The tools of the operator's MCP servers as DSPy tools."""

import asyncio
import functools
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import dspy
from dspy.adapters.types.tool import convert_input_schema_to_tool_args

from dspy_sidecar.faults import BuildFailedError
from dspy_sidecar.threads import BRIDGE
from dspy_sidecar.tools.mcp_servers import Http, Stdio, read_servers
from dspy_sidecar.tools.tool_server import CALL_S, ToolServer

T = TypeVar("T")

MAX_START_S = 5.0
"""Maximum time that the sidecar's start waits for servers, in seconds."""


class Tool(dspy.Tool):  # type: ignore[misc]
    """DSPy's tool; an error becomes the tool's answer, in one sentence.

    ReAct would show the model a traceback, and put it on record.
    """

    required: frozenset[str] = frozenset()
    """The arguments that its server demands."""

    async def acall(self, **kwargs: Any) -> Any:
        """Calls the tool on the event loop."""
        try:
            return await super().acall(**kwargs)
        except Exception as error:
            return f"Error: {error}"

    def __call__(self, **kwargs: Any) -> Any:
        """Calls the tool from a thread: a run's, which can be cancelled, or an optimizer's."""
        bridge = BRIDGE.get()
        return (
            bridge.wait_for(self.acall(**kwargs)) if bridge else asyncio.run(self.acall(**kwargs))
        )


class Toolbox:
    """All servers, on an event loop of their own: every thread and loop may call their tools."""

    def __init__(self, servers: dict[str, Stdio | Http], call_s: float = CALL_S) -> None:
        self._loop = asyncio.new_event_loop()
        self._servers = {name: ToolServer(name, server, call_s) for name, server in servers.items()}
        self._tried = {name: asyncio.Event() for name in servers}
        self._made: dict[str, tuple[Any, Tool]] = {}
        if servers:
            threading.Thread(target=self._run, name="MCP", daemon=True).start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._connections = [
            self._loop.create_task(server.stay_connected(self._tried[server.name]))
            for server in self._servers.values()
        ]
        self._loop.run_forever()

    async def wait_for_servers(self) -> None:
        """Waits for the first attempt to reach each server, at most MAX_START_S seconds."""
        if not self._servers:
            return

        async def all_tried() -> None:
            await asyncio.wait(
                [asyncio.create_task(tried.wait()) for tried in self._tried.values()],
                timeout=MAX_START_S,
            )

        await self._on_servers_loop(all_tried())

    async def close(self) -> None:
        """Ends the servers' processes and connections."""
        if not self._servers:
            return

        async def end() -> None:
            for connection in self._connections:
                connection.cancel()
            await asyncio.wait(self._connections)

        await self._on_servers_loop(end())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def all(self) -> list[Tool]:
        """Every tool of every server, as listed last."""
        return [
            self.find(f"{server.name}.{listed.name}")
            for server in self._servers.values()
            for listed in server.listed
        ]

    def unreachable(self) -> list[str]:
        """The names of the servers that can't be reached."""
        return [server.name for server in self._servers.values() if not server.is_reachable]

    def find(self, name: str) -> Tool:
        """The tool named server.tool: the same object as long as its server lists it unchanged.

        "server.tool as name" is the same tool under another name, which the model reads.

        While a server has not been reached yet, each of its tools exists, without a description.

        Raises:
            BuildFailedError: The server is unknown, or does not list the tool.

        """
        asked, _, alias = name.partition(" as ")
        server_name, _, short = asked.partition(".")
        server = self._servers.get(server_name)
        listed = (
            next((tool for tool in server.listed if tool.name == short), None) if server else None
        )
        if server is None or (listed is None and server.was_listed):
            known = ", ".join(
                f"{s.name}.{tool.name}" for s in self._servers.values() for tool in s.listed
            )
            expected = f"expected one of {known}" if known else "there are no tools"
            raise BuildFailedError(f"unknown tool {asked}; {expected}")
        made = self._made.get(name)
        if made is None or made[0] != listed:
            made = self._made[name] = (listed, self._make(server, alias or asked, short, listed))
        return made[1]

    def _make(self, server: ToolServer, name: str, short: str, listed: Any) -> Tool:
        async def call(**arguments: Any) -> str:
            return await self._on_servers_loop(server.call(short, arguments))

        args, arg_types, arg_desc = convert_input_schema_to_tool_args(
            listed.input_schema if listed else {}
        )
        description = (
            (listed.description or "") if listed else "Its server can't be reached right now."
        )
        tool = Tool(
            func=call,
            name=name,
            desc=description,
            args=args,
            arg_types=arg_types,
            arg_desc=arg_desc,
        )
        tool.required = frozenset(listed.input_schema.get("required", []) if listed else [])
        return tool

    async def _on_servers_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the servers' loop; cancelling the caller cancels it there."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))


@functools.cache
def toolbox() -> Toolbox:
    """The process's toolbox. A forked process connects anew, without its parent's connections."""
    return Toolbox(read_servers(os.environ))


os.register_at_fork(after_in_child=toolbox.cache_clear)
