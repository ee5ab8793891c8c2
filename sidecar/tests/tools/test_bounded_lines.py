"""A line of an MCP server's process is read up to a maximum."""

import anyio
import pytest

from dspy_sidecar.tools import bounded_lines
from dspy_sidecar.tools.bounded_lines import BoundedLines


class Pieces(anyio.abc.ByteReceiveStream):
    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        if not self.pieces:
            raise anyio.EndOfStream
        return self.pieces.pop(0)

    async def aclose(self) -> None:
        pass


async def test_a_line_without_an_end_ends_the_output(monkeypatch):
    monkeypatch.setattr(bounded_lines, "MAX_LINE", 1_000)
    lines = BoundedLines(Pieces(*[b"x" * 400] * 10))
    assert [await lines.receive() for _ in range(2)] == ["x" * 400] * 2
    with pytest.raises(anyio.EndOfStream):
        await lines.receive()


async def test_many_lines_go_on(monkeypatch):
    monkeypatch.setattr(bounded_lines, "MAX_LINE", 1_000)
    lines = BoundedLines(Pieces(*[b"x" * 600 + b"\n" + b"y" * 300] * 10))
    assert len([text async for text in lines]) == 10
