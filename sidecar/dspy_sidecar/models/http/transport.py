"""HTTP connections to language models: a transport for lm15 over one aiohttp session."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any

import aiohttp
from dspy._vendor.lm15.providers.base import HttpResponse
from dspy._vendor.lm15.transports import AsyncTransportResponse, TransportError, TransportRequest
from yarl import URL

from dspy_sidecar.models.http.post import PreparedPost

MAX_CONNECTIONS = 512
"""Connections to all models together. Further requests wait, within their callers' deadlines.

Must stay below the usual limit of 1,024 open files a process.
"""

CONNECT_S, READ_S = 10, 600
"""Time-outs in seconds, as in DSPy's own engine: for a connection, and between bytes read."""


class Connector(aiohttp.TCPConnector):
    """Opens and keeps connections outside of any run's context.

    Sockets and timers keep the context that they were created in, and with it a run's prompt, as
    long as the connection lives. aiohttp has no setting for this; the two methods overridden here
    are the ones that create sockets and timers.
    """

    async def _create_connection(self, *args: Any) -> Any:
        opening = asyncio.get_running_loop().create_task(
            super()._create_connection(*args), context=Context()
        )
        return await opening

    def _release(self, *args: Any, **kwargs: Any) -> None:
        Context().run(super()._release, *args, **kwargs)


class Transport:
    """Sends requests; a cancelled request closes its connection.

    Belongs to the event loop that first uses it.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def stream(self, request: TransportRequest) -> AsyncIterator[AsyncTransportResponse]:
        """Sends a request and gives its response while the body arrives. lm15 calls this method.

        Raises:
            TransportError: The server can't be reached, or the connection was lost.

        """
        try:
            async with self._request(request) as response:
                yield AsyncTransportResponse(
                    status=response.status,
                    reason=response.reason or "",
                    headers=list(response.headers.items()),
                    http_version="HTTP/1.1",
                    # AsyncTransportResponse bounds them: see answer_size.py.
                    chunks=response.content.iter_any(),
                    release=keep_connection,
                )
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(f"{type(error).__name__}: {error}") from error

    def prepare_post(self, request: TransportRequest) -> PreparedPost | None:
        """Prepares requests that differ only in their bodies.

        None if the address is behind a proxy, or has a user name or a password.
        """
        session = self._open_session()
        url = URL(request.url)
        is_direct = not session.trust_env or urllib.request.proxy_bypass(url.host or "")
        is_plain = is_direct and url.user is None and url.password is None
        return PreparedPost(session, request) if is_plain else None

    def _request(self, request: TransportRequest) -> Any:
        return self._open_session().request(
            request.method,
            request.url,
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
        )

    async def close(self) -> None:
        """Closes all connections."""
        if self._session:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=Connector(limit=MAX_CONNECTIONS, ttl_dns_cache=60),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S),
                # Proxies buffer a compressed stream, which would delay its chunks.
                headers={"Accept-Encoding": "identity", "User-Agent": "sigrun"},
                # Cookies of one caller's request must not reach the next caller's.
                cookie_jar=aiohttp.DummyCookieJar(),
                # Read once: with trust_env aiohttp reads the whole environment at each request.
                trust_env=bool(urllib.request.getproxies()),
            )
        return self._session


class ReceivedAnswer:
    """A transport that gives an answer that was received before."""

    def __init__(self, answer: HttpResponse) -> None:
        self._answer = answer

    @asynccontextmanager
    async def stream(self, _: TransportRequest) -> AsyncIterator[AsyncTransportResponse]:
        """Gives the answer without a network. lm15 calls this method."""
        answer = self._answer

        async def chunks() -> AsyncIterator[bytes]:
            yield answer.body

        yield AsyncTransportResponse(
            status=answer.status,
            reason=answer.reason,
            headers=answer.headers,
            http_version=answer.http_version,
            chunks=chunks(),
            release=keep_connection,
        )


async def keep_connection(_: bool) -> None:
    """Does nothing: the context manager around the response releases the connection."""
