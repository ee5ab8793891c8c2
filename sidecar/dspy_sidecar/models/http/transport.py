"""HTTP to language models: lm15's transport over one aiohttp session."""

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

from dspy_sidecar.models.http.post import Post

MOST_CONNECTIONS = 512
"""To all models; what comes further waits, and its caller's deadline with it. Below the usual 1,024 files a process."""

CONNECT_S, READ_S = 10, 600
"""As DSPy's own engine: connecting is quick or hopeless, thinking takes its time."""


class Connector(aiohttp.TCPConnector):
    """Opens and keeps connections outside of any run's context.

    Sockets and timers hold the context that they were made in, and with it the prompt of the run that made them, for as
    long as the connection lives. aiohttp has no setting for that: these are its two methods that make them.
    """

    async def _create_connection(self, *args: Any) -> Any:
        opening = asyncio.get_running_loop().create_task(
            super()._create_connection(*args), context=Context()
        )
        return await opening

    def _release(self, *args: Any, **kwargs: Any) -> None:
        Context().run(super()._release, *args, **kwargs)


class Transport:
    """Sends requests, and gives up the connection of one that is cancelled. Belongs to the event loop that first uses it."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def stream(self, request: TransportRequest) -> AsyncIterator[AsyncTransportResponse]:
        """lm15's own method of a transport."""
        try:
            async with self._ask(request) as response:
                yield AsyncTransportResponse(
                    status=response.status,
                    reason=response.reason or "",
                    headers=list(response.headers.items()),
                    http_version="HTTP/1.1",
                    chunks=response.content.iter_any(),
                    release=released,
                )
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(f"{type(error).__name__}: {error}") from error

    def post(self, request: TransportRequest) -> Post | None:
        """For many requests that differ in their bodies; None where the session has to see to a proxy or a password."""
        session = self._open()
        url = URL(request.url)
        is_plain = not session.trust_env and url.user is None and url.password is None
        return Post(session, request) if is_plain else None

    def _ask(self, request: TransportRequest) -> Any:
        return self._open().request(
            request.method,
            request.url,
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
        )

    async def close(self) -> None:
        """Ends all connections."""
        if self._session:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=Connector(limit=MOST_CONNECTIONS, ttl_dns_cache=60),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S),
                # A compressed stream waits in a proxy's buffer until it is full.
                headers={"Accept-Encoding": "identity", "User-Agent": "sigrun"},
                # One provider's cookies are nothing for the next caller.
                cookie_jar=aiohttp.DummyCookieJar(),
                # Asked once and not at each request, which reads the whole environment.
                trust_env=bool(urllib.request.getproxies()),
            )
        return self._session


class Got:
    """A transport that has the answer to its request already."""

    def __init__(self, answer: HttpResponse) -> None:
        self._answer = answer

    @asynccontextmanager
    async def stream(self, _: TransportRequest) -> AsyncIterator[AsyncTransportResponse]:
        """lm15's own method of a transport."""
        answer = self._answer

        async def chunks() -> AsyncIterator[bytes]:
            yield answer.body

        yield AsyncTransportResponse(
            status=answer.status,
            reason=answer.reason,
            headers=answer.headers,
            http_version=answer.http_version,
            chunks=chunks(),
            release=released,
        )


async def released(_: bool) -> None:
    """The context manager that the response lives in lets go of the connection."""
