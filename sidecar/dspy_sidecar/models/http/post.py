"""A request that is made again and again, but for its body, over the connections of an aiohttp session.

A session makes a request and a response of many parts each time, which takes twice the time of sending and reading.
"""

from contextvars import Context

import aiohttp
from aiohttp.http import HttpProcessingError
from aiohttp.http_writer import _serialize_headers
from dspy._vendor.lm15.providers.base import HttpResponse
from dspy._vendor.lm15.transports import TransportRequest
from dspy.lm15 import TransportError
from multidict import CIMultiDict
from yarl import URL


class Post:
    """What the session would send, by the session's own connector and protocol.

    Args:
        session: Without a proxy.
        request: Its body is left out.

    """

    def __init__(self, session: aiohttp.ClientSession, request: TransportRequest) -> None:
        headers = CIMultiDict(session.headers)
        headers.update(request.headers)
        self._asked = aiohttp.ClientRequest(
            request.method, URL(request.url), headers=headers, session=session
        )
        self._asked.headers.popall("Content-Length", None)
        line = f"{request.method} {self._asked.url.raw_path_qs} HTTP/1.1"
        self._head = (
            _serialize_headers(line, self._asked.headers).removesuffix(b"\r\n")
            + b"Content-Length: "
        )
        self._session = session

    async def send(self, body: bytes) -> HttpResponse:
        """The server's answer, whatever it says; DSPy's fault where there is none."""
        try:
            return await self._send(body)
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            raise TransportError(f"{type(error).__name__}: {error}") from error

    async def _send(self, body: bytes) -> HttpResponse:
        connector, timeout = self._session.connector, self._session.timeout
        if connector is None:
            raise aiohttp.ClientConnectionError("the session is closed")
        try:
            connection = await connector.connect(self._asked, [], timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(
                f"no connection to {self._asked.url.origin()}"
            ) from error
        try:
            answer = await self._exchange(
                connection, b"%b%d\r\n\r\n%b" % (self._head, len(body), body)
            )
        except BaseException:
            connection.close()
            raise
        connection.release()
        return answer

    async def _exchange(
        self, connection: aiohttp.connector.Connection, message: bytes
    ) -> HttpResponse:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise aiohttp.ClientConnectionResetError("the connection was lost before it was used")
        protocol.set_response_params(
            read_until_eof=True, read_timeout=self._session.timeout.sock_read
        )
        transport.write(message)
        # Its timer keeps the context that it is made in until long after the run.
        Context().run(protocol.start_timeout)
        head, content = await protocol.read()
        while 100 <= head.code < 200 and head.code != 101:
            head, content = await protocol.read()
        answer = HttpResponse(
            head.code, head.reason, list(head.headers.items()), await content.read()
        )
        if transport.get_write_buffer_size() > 0:
            # It answered before it had read all. The rest would go before the connection's next request.
            protocol.abort()
            connection.close()
        return answer
