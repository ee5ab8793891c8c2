"""What the sidecar and an optimizer's process say to each other: a kind, a length, a message."""

import asyncio
import struct
from typing import BinaryIO

HEADER = struct.Struct("!cI")

REQUEST, EVENT, FAULT = b"r", b"e", b"f"


def pack(kind: bytes, message: bytes) -> bytes:
    """A message in its frame."""
    return HEADER.pack(kind, len(message)) + message


def read(stream: BinaryIO) -> tuple[bytes, bytes]:
    """The next frame's kind and message; EOFError where there is none."""
    kind, length = HEADER.unpack(exactly(stream, HEADER.size))
    return kind, exactly(stream, length)


def exactly(stream: BinaryIO, length: int) -> bytes:
    """So many bytes."""
    read = stream.read(length)
    if len(read) < length:
        raise EOFError
    return read


async def receive(stream: asyncio.StreamReader) -> tuple[bytes, bytes] | None:
    """As `read`; None where there is no further frame."""
    try:
        kind, length = HEADER.unpack(await stream.readexactly(HEADER.size))
        return kind, await stream.readexactly(length)
    except asyncio.IncompleteReadError:
        return None
