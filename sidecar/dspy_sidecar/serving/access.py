"""Who may call the sidecar: on TCP, whoever sends the operator's token."""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable

import grpc

from dspy_sidecar.settings import SettingsError

HEALTH = "/grpc.health.v1.Health/"
"""Probes of an orchestrator send no token; the answer holds nothing but SERVING or NOT_SERVING."""


def check_address(listen: str, token: str | None) -> None:
    """Refuses an address that other machines can reach while no token is set.

    Raises:
        SettingsError: The address is none of this machine's own.

    """
    if listen.startswith("unix:") or token:
        return
    host = listen.rpartition(":")[0].strip("[]")
    if host != "localhost" and not is_loopback(host):
        raise SettingsError(
            f"--listen {listen}: other machines can reach this address; set SIGRUN_SIDECAR_TOKEN "
            "for the sidecar and the gateway, or listen on 127.0.0.1 or a Unix socket"
        )


def is_loopback(host: str) -> bool:
    """Whether an address is one of this machine's own; False for a name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class AsksForToken(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Refuses calls without `authorization: Bearer TOKEN`, in a time that tells nothing of it."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """The method's handler, or one that refuses."""
        sent = dict(details.invocation_metadata).get("authorization", "")
        sent_bytes = sent if isinstance(sent, bytes) else sent.encode()
        if details.method.startswith(HEALTH) or hmac.compare_digest(sent_bytes, self._expected):
            return await continuation(details)
        handler = await continuation(details)
        return refusing(handler) if handler else handler


def refusing(handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
    """A handler of the same kind of call that refuses it."""

    async def refuse(_: object, context: grpc.aio.ServicerContext) -> None:
        await context.abort(
            grpc.StatusCode.UNAUTHENTICATED, "the token is not the sidecar's SIGRUN_SIDECAR_TOKEN"
        )

    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    return kinds[handler.request_streaming, handler.response_streaming](refuse)
