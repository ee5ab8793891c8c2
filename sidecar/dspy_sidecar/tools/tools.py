"""The tools of the operator's MCP servers, as DSPy's."""

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

FIRST_TRY_S = 5.0
"""How long the start waits for servers that don't answer."""


class Tool(dspy.Tool):  # type: ignore[misc]
    """DSPy's, but that what goes wrong is its answer, in a sentence: ReAct would show a traceback, to the model and on the record."""

    async def acall(self, **kwargs: Any) -> Any:
        """As DSPy's."""
        try:
            return await super().acall(**kwargs)
        except Exception as error:
            return f"Error: {error}"

    def __call__(self, **kwargs: Any) -> Any:
        """As DSPy's, in a thread: of a run that can be cancelled, or of an optimizer."""
        bridge = BRIDGE.get()
        return (
            bridge.wait_for(self.acall(**kwargs)) if bridge else asyncio.run(self.acall(**kwargs))
        )


class Toolbox:
    """The servers, connected to on an event loop of their own, so that any thread and any loop may call their tools."""

    def __init__(self, servers: dict[str, Stdio | Http], call_s: float = CALL_S) -> None:
        self._loop = asyncio.new_event_loop()
        self._servers = {name: ToolServer(name, where, call_s) for name, where in servers.items()}
        self._tried = {name: asyncio.Event() for name in servers}
        self._made: dict[str, tuple[Any, Tool]] = {}
        if servers:
            threading.Thread(target=self._run, name="MCP", daemon=True).start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._kept = [
            self._loop.create_task(s.keep(self._tried[s.name])) for s in self._servers.values()
        ]
        self._loop.run_forever()

    async def settled(self) -> None:
        """Returns once every server was tried, or has taken too long."""
        if not self._servers:
            return

        async def all_tried() -> None:
            await asyncio.wait(
                [asyncio.create_task(tried.wait()) for tried in self._tried.values()],
                timeout=FIRST_TRY_S,
            )

        await self._there(all_tried())

    async def close(self) -> None:
        """Ends the servers' processes and sessions."""
        if not self._servers:
            return

        async def end() -> None:
            for kept in self._kept:
                kept.cancel()
            await asyncio.wait(self._kept)

        await self._there(end())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def all(self) -> list[Tool]:
        """Every tool that its server listed last."""
        return [
            self.find(f"{s.name}.{listed.name}")
            for s in self._servers.values()
            for listed in s.listed
        ]

    def away(self) -> list[str]:
        """The servers that can't be reached."""
        return [server.name for server in self._servers.values() if not server.is_here]

    def find(self, name: str) -> Tool:
        """The tool named server.tool: the same object for as long as its server lists it the same.

        One of a server that was never reached is known by name alone. BuildFailedError where there is none.
        """
        of, _, short = name.partition(".")
        server = self._servers.get(of)
        listed = (
            next((tool for tool in server.listed if tool.name == short), None) if server else None
        )
        if server is None or (listed is None and server.was_listed):
            known = ", ".join(
                f"{s.name}.{tool.name}" for s in self._servers.values() for tool in s.listed
            )
            raise BuildFailedError(f"there is no tool {name}; there is {known or 'none'}")
        made = self._made.get(name)
        if made is None or made[0] != listed:
            made = self._made[name] = (listed, self._make(server, name, short, listed))
        return made[1]

    def _make(self, server: ToolServer, name: str, short: str, listed: Any) -> Tool:
        async def call(**arguments: Any) -> str:
            return await self._there(server.call(short, arguments))

        args, arg_types, arg_desc = convert_input_schema_to_tool_args(
            listed.input_schema if listed else {}
        )
        description = (
            (listed.description or "") if listed else "Its server can't be reached right now."
        )
        return Tool(
            func=call,
            name=name,
            desc=description,
            args=args,
            arg_types=arg_types,
            arg_desc=arg_desc,
        )

    async def _there(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs it on the servers' loop; cancelled here, it is cancelled there."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))


@functools.cache
def toolbox() -> Toolbox:
    """The process's own. One that was forked has none of its parent's sessions and makes new ones."""
    return Toolbox(read_servers(os.environ))


os.register_at_fork(after_in_child=toolbox.cache_clear)
