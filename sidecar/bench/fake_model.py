"""A model server that costs as little as Python can: `python bench/fake_model.py PORT DELAY_MS`."""

import asyncio
import json
import sys
from typing import Any

ANSWER = """[[ ## answer ## ]]
Paris is the capital of France, a city on the Seine.

[[ ## confidence ## ]]
0.93

[[ ## sources ## ]]
["wikipedia", "britannica"]

[[ ## completed ## ]]"""


def response() -> bytes:
    """The same answer to everybody."""
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": ANSWER},
    }
    usage = {"prompt_tokens": 300, "completion_tokens": 40, "total_tokens": 340}
    whole = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "fake",
        "choices": [choice],
        "usage": usage,
    }
    body = json.dumps(whole).encode()
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        % len(body)
        + body
    )


class Connection(asyncio.Protocol):
    """Answers each request some time after the last byte of it has come."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._buffer = b""
        self._response = response()

    def connection_made(self, transport: Any) -> None:
        """A method of asyncio's."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """A method of asyncio's."""
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self._buffer) < head_end + 4 + length:
            return
        self._buffer = b""
        asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, self._response)


async def main(port: int, delay_ms: float) -> None:
    """Serves until it is killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(delay_ms / 1000), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
