"""A prepared POST sends and receives the same as aiohttp's session does."""

import asyncio
import contextlib
import gc
import gzip
import weakref
from contextvars import Context, ContextVar

import pytest
from dspy import lm15
from dspy._vendor.lm15.transports import TransportError, TransportRequest

from dspy_sidecar.models.http.transport import Transport

BODY = b'{"content": "\xc3\xbcnd"}'
HEADERS = [("Content-Type", "application/json"), ("Authorization", "Bearer key"), ("X-Odd", "é")]
FAILED = ("no answer",)


class Server:
    """Sends one answer after the other, and then the last one again and again.

    Args:
        answers: Whole responses; None closes the connection without one.
        closes: Whether each response closes its connection.
        is_early: Whether the first connection is answered after a request's head, unread.

    """

    def __init__(
        self, *answers: bytes | None, closes: bool = False, is_early: bool = False
    ) -> None:
        self.answers = list(answers)
        self.closes = closes
        self.requests: list[bytes] = []
        self.connections = 0
        self.is_early = is_early
        self.silence = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.connections == 1 and self.is_early:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.answers[0] or b"")
            await self.silence.wait()
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line[15:])
                    for line in head.split(b"\r\n")
                    if line.startswith(b"Content-Length:")
                )
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                writer.write(answer or b"")
                if self.closes or answer is None:
                    break
        writer.close()

    @contextlib.asynccontextmanager
    async def started(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat?x=%20y"
        finally:
            server.close()


@pytest.fixture
async def transport():
    made = Transport()
    yield made
    await made.close()


async def by_post(transport: Transport, request: TransportRequest) -> tuple:
    return await outcome(transport.prepare_post(request).send(request.body))


async def by_session(transport: Transport, request: TransportRequest) -> tuple:
    async def whole() -> tuple:
        async with transport.stream(request) as response:
            return response, b"".join([chunk async for chunk in response])

    got = await outcome(whole())
    return got if got is FAILED else (got[0].status, got[0].reason, got[0].headers, got[1])


async def outcome(asking) -> tuple:
    try:
        got = await asyncio.wait_for(asking, 20)
    except (TransportError, lm15.TransportError):
        return FAILED
    return got if isinstance(got, tuple) else (got.status, got.reason, got.headers, got.body)


def answer(body: bytes = b"{}", line: bytes = b"HTTP/1.1 200 OK", **headers: bytes) -> bytes:
    lines = [
        line,
        *(name.encode().replace(b"_", b"-") + b": " + value for name, value in headers.items()),
    ]
    return b"\r\n".join([*lines, b"", body])


WHOLE = answer(Content_Length=b"2", X_Two=b"a\r\nX-Two: b")
ZIPPED = gzip.compress(b"{}")
ANSWERS = {
    "whole": WHOLE,
    "in chunks": answer(
        b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\nX-Last: 1\r\n\r\n", Transfer_Encoding=b"chunked"
    ),
    "compressed": answer(ZIPPED, Content_Encoding=b"gzip", Content_Length=b"%d" % len(ZIPPED)),
    "badly compressed": answer(b"no", Content_Encoding=b"gzip", Content_Length=b"2"),
    "of no length": answer(),
    "empty": answer(b"", Content_Length=b"0"),
    "without content": answer(b"", b"HTTP/1.1 204 No Content"),
    "without a reason": answer(line=b"HTTP/1.1 200", Content_Length=b"2"),
    "after others": answer(b"", b"HTTP/1.1 100 Continue")
    + answer(b"", b"HTTP/1.1 103 Early Hints", Link=b"x")
    + WHOLE,
    "a fault": answer(line=b"HTTP/1.1 429 Slow", Content_Length=b"2", Retry_After=b"3"),
    "elsewhere": answer(
        line=b"HTTP/1.1 302 There", Content_Length=b"2", Location=b"http://127.0.0.1:9/"
    ),
    "cut in its body": answer(Content_Length=b"9"),
    "cut in its chunks": answer(b"5\r\n{}", Transfer_Encoding=b"chunked"),
    "cut in its head": b"HTTP/1.1 200 OK\r\nContent-",
    "no HTTP": b"hello there\r\n\r\n",
    "a bad length": answer(Content_Length=b"two"),
    "a long header": answer(Content_Length=b"2", X_Long=b"x" * 10_000),
    "another protocol": answer(b"", b"HTTP/1.1 101 Switching", Upgrade=b"x", Connection=b"upgrade"),
    "nothing": None,
}
UNREADABLE = {
    "badly compressed", "cut in its body", "cut in its chunks", "cut in its head", "no HTTP",
    "a bad length", "a long header", "nothing",
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
async def test_gives_the_same_response_or_error_as_the_session(transport, name):
    server = Server(ANSWERS[name], closes=True)
    async with server.started() as url:
        request = TransportRequest("POST", url, HEADERS, BODY)
        got = await by_post(transport, request)
        assert got == await by_session(transport, request)
        assert (got == FAILED) == (name in UNREADABLE)
        # An error of one connection does not affect the next.
        server.answers = [WHOLE]
        assert (await by_post(transport, request))[0] == 200


async def test_sends_the_same_bytes_as_the_session(transport):
    server = Server(WHOLE)
    async with server.started() as url:
        for address in [url, url.replace("127.0.0.1", "localhost"), url.partition("?")[0]]:
            request = TransportRequest("POST", address, HEADERS, BODY)
            await by_post(transport, request)
            await by_session(transport, request)
            post, session = (sent.partition(b"\r\n\r\n") for sent in server.requests[-2:])
            assert sorted(post[0].split(b"\r\n")) == sorted(session[0].split(b"\r\n"))
            assert post[0].split(b"\r\n")[0] == session[0].split(b"\r\n")[0]
            assert post[2] == session[2] == BODY


async def test_refuses_a_header_with_a_line_break(transport):
    with pytest.raises(ValueError, match="header"):
        transport.prepare_post(
            TransportRequest("POST", "http://127.0.0.1:9/", [("X", "a\r\nY: b")], b"")
        )


async def test_reuses_connections_unless_the_server_closes_them(transport):
    last = answer(Content_Length=b"2", Connection=b"close")
    server = Server(WHOLE, WHOLE, last, WHOLE)
    async with server.started() as url:
        request = TransportRequest("POST", url, HEADERS, BODY)
        for connections in [1, 1, 1, 2, 2]:
            assert (await by_post(transport, request))[3] == b"{}"
            assert server.connections == connections


async def test_an_unreachable_server_is_a_transport_error(transport):
    request = TransportRequest("POST", "http://127.0.0.1:9/", HEADERS, BODY)
    assert await by_post(transport, request) == await by_session(transport, request) == FAILED


async def test_a_silent_server_is_a_transport_error_after_the_time_out(transport, monkeypatch):
    monkeypatch.setattr("dspy_sidecar.models.http.transport.READ_S", 0.2)
    server = Server(b"")
    async with server.started() as url:
        request = TransportRequest("POST", url, HEADERS, BODY)
        assert await by_post(transport, request) == await by_session(transport, request) == FAILED


async def test_leaves_proxies_and_passwords_to_the_session(transport, monkeypatch):
    for who in ["user", "user:pass", ":pass"]:
        assert (
            transport.prepare_post(
                TransportRequest("POST", f"http://{who}@127.0.0.1:9/", HEADERS, BODY)
            )
            is None
        )
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    proxied = Transport()
    assert (
        proxied.prepare_post(TransportRequest("POST", "http://127.0.0.1:9/", HEADERS, BODY)) is None
    )
    await proxied.close()


async def test_the_answer_to_a_cancelled_request_is_not_given_to_the_next(transport):
    server = Server(b"", WHOLE)
    async with server.started() as url:
        request = TransportRequest("POST", url, HEADERS, BODY)
        asking = asyncio.create_task(by_post(transport, request))
        while not server.requests:
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert (await by_post(transport, request))[0] == 200
        assert server.connections == 2


async def test_the_unread_rest_of_a_request_does_not_delay_the_next(transport):
    server = Server(WHOLE, is_early=True)
    async with server.started() as url:
        long = TransportRequest("POST", url, HEADERS, b"x" * 50_000_000)
        assert (await by_post(transport, long))[0] == 200
        assert (await by_post(transport, TransportRequest("POST", url, HEADERS, BODY)))[0] == 200
        assert server.requests[-1].endswith(BODY)
        server.silence.set()


async def test_a_timer_keeps_no_context_of_a_run(transport):
    server = Server(b"")
    async with server.started() as url:
        request = TransportRequest("POST", url, HEADERS, BODY)
        # The event loop keeps a cancelled timer as long as an earlier one is pending.
        earlier = asyncio.get_running_loop().call_later(60, lambda: None)
        made = Context()
        made.run(said.set, Said())
        remembered = weakref.ref(made[said])
        asking = made.run(asyncio.create_task, by_post(transport, request))
        while not server.requests:
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        del made, asking
        gc.collect()
        assert remembered() is None
        earlier.cancel()


class Said:
    """A value of a run."""


said: ContextVar[Said] = ContextVar("said")
