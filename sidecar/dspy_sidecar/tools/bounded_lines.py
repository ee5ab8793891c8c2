"""The output of an MCP server's process, as mcp's client reads it, with a maximum of a line."""

import anyio
from anyio.streams.text import TextReceiveStream

MAX_LINE = 32 * 2**20
"""Maximum number of characters of a line, which holds one message."""


class BoundedLines(TextReceiveStream):
    """Ends as if the process had closed its output when a line is too long.

    mcp would collect a line of any length, in a time that grows with the square of the length.
    """

    _size = 0

    async def receive(self) -> str:
        """The next characters."""
        text = await super().receive()
        end = text.rfind("\n")
        self._size = self._size + len(text) if end < 0 else len(text) - end - 1
        if max(self._size, end) > MAX_LINE:
            raise anyio.EndOfStream
        return text
