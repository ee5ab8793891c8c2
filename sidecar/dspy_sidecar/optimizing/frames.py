"""Frames between the sidecar and an optimizer's process: a kind, a length, a message."""

import asyncio
import struct
from typing import BinaryIO

HEADER = struct.Struct("!cI")

PID, REQUEST, EVENT, FAULT, BEAT = b"p", b"r", b"e", b"f", b"b"


def pack(kind: bytes, message: bytes) -> bytes:
    """A message in its frame."""
    return HEADER.pack(kind, len(message)) + message


def read(stream: BinaryIO) -> tuple[bytes, bytes]:
    """The kind and message of the next frame.

    Raises:
        EOFError: The stream ended.

    """
    kind, length = HEADER.unpack(read_exactly(stream, HEADER.size))
    return kind, read_exactly(stream, length)


def read_exactly(stream: BinaryIO, length: int) -> bytes:
    """The next `length` bytes; raises EOFError if the stream ends before."""
    read = stream.read(length)
    if len(read) < length:
        raise EOFError
    return read


async def receive(stream: asyncio.StreamReader) -> tuple[bytes, bytes] | None:
    """The kind and message of the next frame; None if the stream ended."""
    try:
        kind, length = HEADER.unpack(await stream.readexactly(HEADER.size))
        return kind, await stream.readexactly(length)
    except asyncio.IncompleteReadError:
        return None
