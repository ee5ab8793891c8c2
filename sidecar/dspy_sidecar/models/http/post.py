"""POST requests whose head is prepared once, over the connections of an aiohttp session.

A session builds a request and a response object each time, which takes twice as long as sending
and reading.
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

from dspy_sidecar.models.http.answer_size import bounded


class PreparedPost:
    """Sends the same bytes as the session, by the session's own connector and protocol.

    Args:
        session: Must not use a proxy.
        request: The method, address and headers. Its body is not used.

    """

    def __init__(self, session: aiohttp.ClientSession, request: TransportRequest) -> None:
        headers = CIMultiDict(session.headers)
        headers.update(request.headers)
        self._request = aiohttp.ClientRequest(
            request.method, URL(request.url), headers=headers, session=session
        )
        self._request.headers.popall("Content-Length", None)
        line = f"{request.method} {self._request.url.raw_path_qs} HTTP/1.1"
        self._head = (
            _serialize_headers(line, self._request.headers).removesuffix(b"\r\n")
            + b"Content-Length: "
        )
        self._session = session

    async def send(self, body: bytes) -> HttpResponse:
        """Sends a body and gives the server's answer, of any status.

        Raises:
            TransportError: The server can't be reached, or its answer is no complete HTTP response.

        """
        try:
            return await self._send(body)
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            raise TransportError(f"{type(error).__name__}: {error}") from error

    async def _send(self, body: bytes) -> HttpResponse:
        connector, timeout = self._session.connector, self._session.timeout
        if connector is None:
            raise aiohttp.ClientConnectionError("the session is closed")
        try:
            connection = await connector.connect(self._request, [], timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(
                f"no connection to {self._request.url.origin()}"
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
        # The timer outlives the run and keeps the context in which it was created. An empty
        # context has no values of callers.
        Context().run(protocol.start_timeout)
        head, content = await protocol.read()
        while 100 <= head.code < 200 and head.code != 101:
            head, content = await protocol.read()
        body = b"".join([chunk async for chunk in bounded(content.iter_any())])
        answer = HttpResponse(head.code, head.reason, list(head.headers.items()), body)
        if transport.get_write_buffer_size() > 0:
            # The server answered before it had read the whole request. The unsent rest would be
            # sent before the connection's next request.
            protocol.abort()
            connection.close()
        return answer
