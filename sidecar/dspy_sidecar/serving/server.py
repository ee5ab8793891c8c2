"""A worker's gRPC server: listens, warms the model, and drains when it is told to end."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dspy
import grpc
from dspy.clients import model_metadata
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from sigrun.sidecar.v1 import sidecar_service_pb2_grpc as pb_grpc

from dspy_sidecar.forks import Forks
from dspy_sidecar.heartbeat import PERIOD_S
from dspy_sidecar.log import logger
from dspy_sidecar.models import dspy_patches
from dspy_sidecar.models.choosing import Models
from dspy_sidecar.models.embedded import EmbeddedModel
from dspy_sidecar.optimizing.parent import Optimizing
from dspy_sidecar.programs.programs import Programs
from dspy_sidecar.serving.access import AsksForToken
from dspy_sidecar.serving.servicer import Servicer
from dspy_sidecar.settings import Settings, is_embedded
from dspy_sidecar.tools.tools import toolbox

MEBIBYTE = 2**20
GRACE_S = 5
"""Maximum time, in seconds, that runs in flight get to end."""
OPTIONS = [
    ("grpc.max_receive_message_length", 32 * MEBIBYTE),
    ("grpc.max_send_message_length", 32 * MEBIBYTE),
    # The gateway pings every 30 s. gRPC closes connections that ping too often for this minimum.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Workers must not share an address: the kernel would choose among them at random.
    ("grpc.so_reuseport", 0),
]


def prepare() -> None:
    """Makes what all workers share: memory from before the fork is not copied."""
    dspy_patches.install()
    dspy.configure_cache(
        enable_disk_cache=False, enable_memory_cache=True, memory_max_entries=1_000
    )
    # Reads DSPy's table of models, which DSPy would read at each worker's first request.
    model_metadata.source_info()
    gc.collect()
    # The collector writes to every object that it visits, which copies the object's page.
    gc.freeze()


async def serve(
    address: str,
    number: int,
    settings: Settings,
    embedded: EmbeddedModel | None,
    alive: int,
    beat: Callable[[], None],
    forks: Forks,
    work_dir: Path | None,
) -> None:
    """Serves as a worker until SIGTERM or SIGINT.

    Args:
        address: Where the worker listens: `unix:/path.sock` or `host:port`.
        number: The worker's number, from 0.
        settings: The operator's settings.
        embedded: The local model, if it is allowed.
        alive: A file descriptor that ends when the parent dies; the worker then exits at once.
        beat: A heartbeat; the parent kills a worker whose event loop does not call it.
        forks: Where the worker asks for the processes of optimizations.
        work_dir: Where optimizers save their progress; None for a folder of temporary files.

    """
    beating = asyncio.create_task(beat_always(beat))
    models = Models(settings, embedded)
    servicer = Servicer(settings, models, Programs(), Optimizing(forks, embedded, work_dir))
    health = HealthServicer()
    await health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    asks = [AsksForToken(settings.token)] if settings.token and not is_unix(address) else []
    server = grpc.aio.server(options=OPTIONS, interceptors=asks)
    pb_grpc.add_SidecarServiceServicer_to_server(servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    server.add_insecure_port(address)
    await server.start()

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    # Exits without cleaning up: that would remove the socket of a worker that has followed.
    loop.add_reader(alive, os._exit, 1)

    warming = asyncio.create_task(warm(number, settings, models, embedded))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([warming, stopped], return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        warming.result()
        servicer.is_warm = True
        await health.set("", health_pb2.HealthCheckResponse.SERVING)
        logger.info(
            "warm",
            extra={
                "fields": {
                    "worker": number,
                    "model": settings.default_model,
                    "dspy": dspy.__version__,
                }
            },
        )
    await stopped
    warming.cancel()
    if embedded:
        # A thread may still wait for the model, and nothing else ends the thread.
        embedded.stop()
    await health.enter_graceful_shutdown()
    deadline = loop.time() + GRACE_S
    with suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            await servicer.drain()
    await server.stop(max(0, deadline - loop.time()))
    await models.close()
    await toolbox().close()
    beating.cancel()


async def beat_always(beat: Callable[[], None]) -> None:
    """Sends heartbeats from the event loop itself, so that they end if it hangs."""
    while True:
        beat()
        await asyncio.sleep(PERIOD_S)


def is_unix(address: str) -> bool:
    """Whether an address is a socket that only this user can open."""
    return address.startswith("unix:")


async def warm(
    number: int, settings: Settings, models: Models, embedded: EmbeddedModel | None
) -> None:
    """Waits for tools and the local model, and has the first worker ask the local model once.

    So the first run does not wait for either. A provider's model is not asked: it costs money.
    """
    await toolbox().wait_for_servers()
    if embedded is None:
        return
    await asyncio.to_thread(embedded.wait)
    if number > 0 or not is_embedded(settings.default_model):
        return
    lm, adapter = models.choose()
    with dspy.context(lm=lm, adapter=adapter, disable_history=True, trace=None):
        await dspy.Predict("greeting -> mood: bool").acall(greeting="hello")
